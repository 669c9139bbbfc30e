# Made by scripts/make-docs.mjs from the table of settings; do not edit.
# fish: put it into ~/.config/fish/completions or a vendor_completions.d directory.

function __tardis_live
    set -l typed (commandline -ct | string replace -r '^--[^=]*=' '')
    sonic complete -- $argv[1] "$typed" (commandline -opc)[2..-1] 2>/dev/null
end

complete -c tardisfs -f
complete -c tardisfs -s D -l database -r -f -a '(__fish_complete_directories (commandline -ct))' -d 'directory of the store, which holds all clients'
complete -c tardisfs -s C -l client -r -f -k -a '(__tardis_live clients)' -d 'name of the backed-up machine'
complete -c tardisfs -l port -r -f -d 'TCP port of the server'
complete -c tardisfs -l timeout -r -f -d 'seconds without a message after which a connection is closed'
complete -c tardisfs -l reconnect -r -f -d 'seconds to keep trying to connect, at the start or when a connection is lost; 0: do not retry'
complete -c tardisfs -l config -r -F -d 'client configuration file; may be repeated, later files take precedence'
complete -c tardisfs -l job -r -f -d 'section of the configuration file to read'
complete -c tardisfs -l workers -r -f -d 'worker threads that walk, hash and compress; 0: use the main thread'
complete -c tardisfs -l json -d 'print JSON'
complete -c tardisfs -l explain-config -d 'print each setting and where it comes from, and do nothing else'
complete -c tardisfs -l server -r -f -d 'server to connect to, or the path of its unix socket; commands that read use it only if it is set with a higher precedence than --database'
complete -c tardisfs -s P -l password -f -d 'password of the client; without a value it is asked for on the terminal; with --password=… every user of the machine can see it'
complete -c tardisfs -s F -l password-file -r -F -d 'file whose first line is the password; or a URL (file:, https:, or http: to this machine)'
complete -c tardisfs -l password-prog -r -f -d 'program whose first line of output is the password'
complete -c tardisfs -l account -r -f -d 'log in with this account of the client, which has a password and rights of its own'
complete -c tardisfs -l trust-store -d 'accept a store with other keys of the client than this machine remembers, with no encryption any more, or in an older state, and remember it; this hides an exchanged store, and data that an older state lacks is given up'
complete -c tardisfs -l keys -r -F -d 'file with the wrapped keys of the client, which are then not in the store; do not lose this file'
complete -c tardisfs -l ssl -d 'use TLS 1.3 between client and server'
complete -c tardisfs -l nossl -d 'use TLS 1.3 between client and server'
complete -c tardisfs -l validate-certs -d 'accept only a certificate that this machine trusts'
complete -c tardisfs -l novalidate-certs -d 'accept only a certificate that this machine trusts'
complete -c tardisfs -l insecure-tcp -d 'allow plain TCP over loopback'
complete -c tardisfs -l insecure-network -d 'allow plain TCP beyond loopback; everybody on the way can read and change the data'
complete -c tardisfs -l allow-unproven -d 'also read sets of an encrypting client that do not match their seals, for example after packs were lost; each entry is proven on its own, and the exit status is 3'
complete -c tardisfs -l logfile -r -F -d 'log to this file instead of standard error'
complete -c tardisfs -s o -l options -f -d 'options, separated by commas: the names of the long options, and those of mount(8)'
complete -c tardisfs -s f -l foreground -d 'stay in the foreground, with the log on standard error'
complete -c tardisfs -l allow-other -d 'let all users in; the permissions of each entry then apply to them'
complete -c tardisfs -l default-permissions -d 'let the kernel check the permissions of each entry (always with --allow-other)'
complete -c tardisfs -l noexec -d 'do not let programs in the sets be run'
complete -c tardisfs -f -k -a '(__tardis_live paths)'
