// Tables of SQLite for packed values: to insert one is to insert many rows into a table of the catalog.
//   packed_entries (rows, places, set_number)   inserts each packed row (docs/inside/formats.md, "Rows") into `entries`, as
//                                               valid from a set on. `places` has a RowPlace for each row; those without
//                                               a directory are left out
//   packed_contents (frame, record_id)          inserts the contents of a frame's index into `contents`, all of which
//                                               must be new. Their ids are consecutive, and the first is that of the
//                                               inserted row
// Nothing can be read from them. SQLite loads them from the addon as an extension. They check all that they are
// given, before the first row. No schema may use them, since a store may be hostile.
//
// A statement for each row would take a call of JavaScript, whose values are taken apart again. One statement that
// inserts many rows would copy each page that it changes to a journal of its own (in SQLite's words, a statement
// journal), since an index of `contents` calls a function.
#include <cmath>
#include <cstring>
#include <new>
#include <vector>

#include <sqlite3ext.h>

#include "final-rows.h"

SQLITE_EXTENSION_INIT1

namespace tardis {

namespace {

constexpr uint8_t kStoredFlags = kUnsettled | kChanged | kSparse;

// A table, with the statement that inserts one row.
struct Table {
  sqlite3_vtab base;
  sqlite3* database;
  sqlite3_stmt* insert;
};

Table* of(sqlite3_vtab* table) { return reinterpret_cast<Table*>(table); }

// Binds values in order, and inserts them. The memory of blobs must last until the row is inserted.
class NewRow {
 public:
  explicit NewRow(sqlite3_stmt* insert) : insert_(insert) {}

  NewRow& add(double number) {
    sqlite3_bind_int64(insert_, next_++, static_cast<sqlite3_int64>(number));
    return *this;
  }

  NewRow& addId(double id) { return id == 0 ? skip() : add(id); }

  NewRow& add(const uint8_t* data, size_t size) {
    sqlite3_bind_blob64(insert_, next_++, data, size, SQLITE_STATIC);
    return *this;
  }

  int store() {
    sqlite3_step(insert_);
    return sqlite3_reset(insert_);
  }

 private:
  NewRow& skip() {
    sqlite3_bind_null(insert_, next_++);
    return *this;
  }

  sqlite3_stmt* insert_;
  int next_ = 1;
};

bool isId(double id) { return id >= 0 && id <= kMostId && id == std::floor(id); }

// Returns the bytes of a blob; false if the value is none.
bool blobOf(sqlite3_value* value, Bytes* bytes) {
  if (sqlite3_value_type(value) != SQLITE_BLOB) return false;
  bytes->data = static_cast<uint8_t*>(const_cast<void*>(sqlite3_value_blob(value)));
  bytes->size = static_cast<size_t>(sqlite3_value_bytes(value));
  return true;
}

struct Entries {
  static constexpr const char* kSchema = "CREATE TABLE packed_entries (rows, places, set_number)";
  static constexpr int kColumns = 3;
  static constexpr const char* kInsert =
      "INSERT OR REPLACE INTO entries (directory_id, name, first_set, last_set, type, flags, size_bytes, content_id, "
      "child_id, metadata) VALUES (?, ?, ?, NULL, ?, ?, ?, ?, ?, ?)";

  Bytes rows{nullptr, 0};
  Bytes places{nullptr, 0};
  double set = 0;
  std::vector<uint8_t> joined;

  RowPlace place(size_t index) const {
    RowPlace place;
    memcpy(&place, places.data + index * sizeof place, sizeof place);
    return place;
  }

  bool take(sqlite3_value** values) {
    if (!blobOf(values[0], &rows) || !blobOf(values[1], &places) || places.size % sizeof(RowPlace) != 0) return false;
    if (sqlite3_value_numeric_type(values[2]) == SQLITE_NULL) return false;
    set = sqlite3_value_double(values[2]);
    if (!isId(set)) return false;
    size_t at = 0;
    for (size_t index = 0; index < places.size / sizeof(RowPlace); index++) {
      const RowPlace here = place(index);
      const size_t bytes = soundRow(rows, at);
      if (bytes == 0 || here.offset != static_cast<double>(at)) return false;
      const bool isLeftOut = here.directory == kNoDirectory;
      if (!isLeftOut && !(isId(here.directory) && isId(here.content) && isId(here.child))) return false;
      at += bytes;
    }
    return at == rows.size;
  }

  int insert(Table* table, sqlite3_int64*) {
    for (size_t index = 0; index < places.size / sizeof(RowPlace); index++) {
      const RowPlace here = place(index);
      if (here.directory == kNoDirectory) continue;
      const Row row(rows.data + static_cast<size_t>(here.offset));
      const Bytes metadata = metadataOf(row);
      const int code = NewRow(table->insert)
                           .add(here.directory)
                           .add(row.at(row.nameOffset()), row.nameBytes())
                           .add(set)
                           .add(row.get<uint8_t>(kType))
                           .add(row.get<uint8_t>(kFlags) & kStoredFlags)
                           .add(static_cast<double>(row.get<uint64_t>(kSize)))
                           .addId(here.content)
                           .addId(here.child)
                           .add(metadata.data, metadata.size)
                           .store();
      if (code != SQLITE_OK) return code;
    }
    return SQLITE_OK;
  }

  // Returns what `metadataOf` in src/model/metadata.ts returns.
  Bytes metadataOf(const Row& row) {
    const uint8_t type = row.get<uint8_t>(kType);
    auto* fixed = const_cast<uint8_t*>(row.at(kMetadataFrom));
    const size_t fixedBytes = kMetadataBytes + (isDeviceType(type) ? kDeviceBytes : 0);
    const bool hasAttributes = row.hasFlag(kHasAttributes);
    if (!hasAttributes && type != kSymlink) return {fixed, fixedBytes};
    const uint16_t linkBytes = row.get<uint16_t>(kLinkBytes);
    const uint8_t* tail = row.at(row.nameOffset() + row.nameBytes());
    joined.assign(fixed, fixed + fixedBytes);
    if (hasAttributes) {
      const auto* length = reinterpret_cast<const uint8_t*>(&linkBytes);
      joined.insert(joined.end(), length, length + sizeof linkBytes);
    }
    joined.insert(joined.end(), tail, row.at(row.bytes()));
    return {joined.data(), joined.size()};
  }
};

struct Contents {
  static constexpr const char* kSchema = "CREATE TABLE packed_contents (frame, record_id)";
  static constexpr int kColumns = 2;
  static constexpr const char* kInsert =
      "INSERT INTO contents (digest, size_bytes, record_id, offset) VALUES (?, ?, ?, ?)";

  Bytes frame{nullptr, 0};
  double record = 0;

  bool take(sqlite3_value** values) {
    if (!blobOf(values[0], &frame) || sqlite3_value_numeric_type(values[1]) == SQLITE_NULL) return false;
    record = sqlite3_value_double(values[1]);
    return isId(record) && frame.size > 0 && frame.size % kFrameEntryBytes == 0;
  }

  int insert(Table* table, sqlite3_int64* first) {
    double offset = 0;
    for (size_t at = 0; at < frame.size; at += kFrameEntryBytes) {
      uint32_t bytes;
      memcpy(&bytes, frame.data + at + kDigestBytes, sizeof bytes);
      const int code =
          NewRow(table->insert).add(frame.data + at, kDigestBytes).add(bytes).add(record).add(offset).store();
      if (code != SQLITE_OK) return code;
      const sqlite3_int64 id = sqlite3_last_insert_rowid(table->database);
      if (at == 0) *first = id;
      // Ids skip numbers only if none above the last one is left.
      else if (id != *first + static_cast<sqlite3_int64>(at / kFrameEntryBytes)) return SQLITE_FULL;
      offset += bytes;
    }
    return SQLITE_OK;
  }
};

// Runs `work`, which returns a code of SQLite. No exception may reach SQLite.
template <typename Work>
int guarded(const Work& work) {
  try {
    return work();
  } catch (const std::bad_alloc&) {
    return SQLITE_NOMEM;
  }
}

template <typename Kind>
int connect(sqlite3* database, void*, int, const char* const*, sqlite3_vtab** table, char**) {
  return guarded([&] {
    const int code = sqlite3_declare_vtab(database, Kind::kSchema);
    if (code != SQLITE_OK) return code;
    sqlite3_vtab_config(database, SQLITE_VTAB_DIRECTONLY);
    *table = &(new Table{{}, database, nullptr})->base;
    return SQLITE_OK;
  });
}

// SQLite calls this before it closes the database, which the statement would otherwise keep open.
int disconnect(sqlite3_vtab* table) {
  sqlite3_finalize(of(table)->insert);
  delete of(table);
  return SQLITE_OK;
}

// Takes over the error of an inner statement.
int failed(Table* table, int code, const char* message) {
  sqlite3_free(table->base.zErrMsg);
  table->base.zErrMsg = sqlite3_mprintf("%s", message);
  return code;
}

template <typename Kind>
int update(sqlite3_vtab* base, int count, sqlite3_value** values, sqlite3_int64* first) {
  Table* table = of(base);
  return guarded([&] {
    // An insertion has two NULL before the columns, and no row can be changed or deleted.
    if (count != Kind::kColumns + 2 || sqlite3_value_type(values[0]) != SQLITE_NULL) return SQLITE_READONLY;
    Kind packed;
    if (!packed.take(values + 2)) return failed(table, SQLITE_MISMATCH, "a packed value is malformed");
    if (table->insert == nullptr) {
      const int code =
          sqlite3_prepare_v3(table->database, Kind::kInsert, -1, SQLITE_PREPARE_PERSISTENT, &table->insert, nullptr);
      if (code != SQLITE_OK) return failed(table, code, sqlite3_errmsg(table->database));
    }
    const int code = packed.insert(table, first);
    sqlite3_clear_bindings(table->insert); // they point into the packed value
    return code == SQLITE_OK ? code : failed(table, code, sqlite3_errmsg(table->database));
  });
}

int bestIndex(sqlite3_vtab*, sqlite3_index_info*) { return SQLITE_OK; }

int open(sqlite3_vtab*, sqlite3_vtab_cursor** cursor) {
  return guarded([&] {
    *cursor = new sqlite3_vtab_cursor{};
    return SQLITE_OK;
  });
}

int close(sqlite3_vtab_cursor* cursor) {
  delete cursor;
  return SQLITE_OK;
}

int filter(sqlite3_vtab_cursor*, int, const char*, int, sqlite3_value**) { return SQLITE_OK; }
int next(sqlite3_vtab_cursor*) { return SQLITE_OK; }
int isAtEnd(sqlite3_vtab_cursor*) { return 1; }
int column(sqlite3_vtab_cursor*, sqlite3_context*, int) { return SQLITE_OK; }
int rowId(sqlite3_vtab_cursor*, sqlite3_int64*) { return SQLITE_OK; }

// Without a function to create it, a table exists only under the name of its module.
template <typename Kind>
sqlite3_module moduleOf() {
  sqlite3_module module = {};
  module.xConnect = connect<Kind>;
  module.xDisconnect = disconnect;
  module.xBestIndex = bestIndex;
  module.xOpen = open;
  module.xClose = close;
  module.xFilter = filter;
  module.xNext = next;
  module.xEof = isAtEnd;
  module.xColumn = column;
  module.xRowid = rowId;
  module.xUpdate = update<Kind>;
  return module;
}

}  // namespace

}  // namespace tardis

// Adds the tables to a connection, and lets it leave its log beside the file when it is closed. SQLite would fold the log, and
// the checksums of the pages would be those of before.
extern "C" __attribute__((visibility("default"))) int sqlite3_extension_init(sqlite3* database, char**,
                                                                              const sqlite3_api_routines* api) {
  using namespace tardis;
  SQLITE_EXTENSION_INIT2(api);
  static const sqlite3_module entries = moduleOf<Entries>();
  static const sqlite3_module contents = moduleOf<Contents>();
  int code = sqlite3_db_config(database, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  if (code == SQLITE_OK) code = sqlite3_create_module(database, "packed_entries", &entries, nullptr);
  return code != SQLITE_OK ? code : sqlite3_create_module(database, "packed_contents", &contents, nullptr);
}
