{
  "targets": [
    {
      "target_name": "tardis_native",
      "sources": [
        "src/module.cc",
        "src/call.cc",
        "src/aside.cc",
        "src/files.cc",
        "src/flags.cc",
        "src/sha256.cc",
        "src/hashing.cc",
        "src/checksum.cc",
        "src/compressing.cc",
        "src/decoding.cc",
        "src/entry.cc",
        "src/names.cc",
        "src/held-names.cc",
        "src/listing.cc",
        "src/opening.cc",
        "src/reading.cc",
        "src/recent.cc",
        "src/gathering.cc",
        "src/sparse.cc",
        "src/xattrs.cc",
        "src/owners.cc",
        "src/metadata.cc",
        "src/writing.cc",
        "src/restoring.cc",
        "src/naming.cc",
        "src/locking.cc",
        "src/powers.cc",
        "src/sealing.cc",
        "src/entry-seals.cc",
        "src/bodies.cc",
        "src/marking.cc",
        "src/parity.cc",
        "src/rsync.cc",
        "src/fuse.cc"
      ],
      "libraries": ["-lrsync", "-lzstd"],
      "defines": ["NAPI_VERSION=8", "_FILE_OFFSET_BITS=64"],
      "cflags!": ["-O3"],
      "cflags": ["-O2", "-Wall", "-Wextra", "-fvisibility=hidden"],
      "cflags_cc!": ["-fno-exceptions"],
      "cflags_cc": ["-fexceptions", "-fvisibility-inlines-hidden"]
    }
  ]
}
