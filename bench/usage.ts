/** The help of the benchmark. */
export const USAGE = `usage: npm run bench [-- options]

Compares this tool with restic, with borg and rustic if they are installed, and with the limits of the machine: a first
backup, an unchanged one, one after 1 % of the files have changed, and a restore of everything.

measure something else, compared with restic and borg
  --releases       size of the store after ten releases of a source tree (by default 3,000 generated files and edits)
  --history DIR    use the releases of this git repository
  --tags T,T,...   use these releases (default: the newest ones that begin a minor version)
  --count N        number of releases (10)
  --mount          speed of reading a mount, compared with the source too (8,000 files; recommended: --files 80000)
  --names N        number of names in one directory of the mount (10000; recommended: 100000)
  --entries N      number of entries of a filled catalog (500000; recommended: 10000000, which takes 2 GB more)
  --large          bytes that a second backup of large files adds: dumps, archives, images, logs, mailboxes and databases
                   that changed, also under new names (images of 1024 MiB, and others in proportion); with rdiff
  --imports        processor time of imports, in times of what cannot be saved: 135 trees that share files by hard links, and 50
                   snapshots of restic (trees of 64 MiB; recommended: --mib 1100); needs rsync and restic
  --shapes         other trees, machines and numbers of clients: small files, a mixed tree of 10 GB, a million tiny files
                   on one processor, an image of 20 GB, a server with 1, 2 and 4 clients (with rclone), 1 to 8 workers
  --scale PERCENT  sizes of --shapes (100); all of them take 80 GB below --work, each by --only less
  --only TEXT      measure only those of --growth, --large or --shapes whose names contain TEXT
measure something else, about this tool alone
  --delay MS       cost of a distant server: a proxy adds a round trip of MS milliseconds
  --growth         growth of time and memory of nine operations: 10,000, 100,000 and 1,000,000 small files, in a tree and in
                   one directory
  --sizes N,N,...  other numbers of files for --growth
  --sync           cost of writing everything to the disk before it is reported as saved (default of --work: .)
  --parity         cost of parity, in time and bytes
  --tune           the best settings of [Pipeline] for this machine, compared with the profile auto
  --sets N,N,...   cost of operations with N sets, and of deleting most of the sets (recommended: 10,300,3000, with
                   --files 10000)
  --web            cost of the HTTP interfaces (doors): a directory, a range, a zip archive, 200 readers, a backup at
                   the same time (64 MiB and 2,000 files; recommended: --mib 1024 --files 1000000)
  --bucket         speed of buckets: of a server in this process, and of radosgw if it is installed. With radosgw, also
                   backups, compared with those into a directory and those of restic (128 MiB; recommended: --mib 1024)
  --takeover       time until another server over a bucket takes over (3 rounds; recommended: --files 1000000)
  --mib N          size of the tree of --imports, of the images of --large, of the large file of --mount (recommended: 4096), of the zip archive of
                   --web, or of the packs of --bucket, in MiB

the tree
  --files N        generate a tree of N files (80000)
  --seed N         seed for the generated tree and for the changes (1)
  --tree DIR       use a copy of DIR instead
the work
  --work DIR       work below DIR (/dev/shm); about 4 times the size of the tree must be free
  --disk           use a cold disk: drop all files from memory before each command (needs root; default of --work: .)
  --runs R         rounds, whose medians are shown (5; 3 for --mount and --tune; 1 for --growth, --releases
                   and --shapes)
  --quick          measure less: 8,000 files (500 for --releases), 2 rounds instead of 5, 1,000 and 4,000 files for
                   --growth, 5,000 entries and a fifteenth of the time of random reads for --mount; other options
                   override these numbers
  --no-memory      skip the extra round that samples memory
  --keep           keep the files of the work at the end
the subjects
  --pi             also measure this tool on a small machine: profile pi, a quarter of a core and 512 MB of memory, if
                   control groups can be created
  --with NAME      also measure this peer: rsync; borg, rustic (which are measured if they are installed)
  --without NAME   do not measure this peer: restic, borg, rustic, rdiff, raw (the limits of the machine)
  --level N        zstd level of this tool's backups, 1 to 19 (default: the tool's own)
  --borg-encryption MODE   repokey-blake2 (the default) or none
the answer
  --json FILE      write all figures to FILE
  --plots DIR      write plots (SVG) to DIR, which must exist
  --check          exit with 1 if a target is missed (the targets are for --level 1)
  --help           print this text
`;
