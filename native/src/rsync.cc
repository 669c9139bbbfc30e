// Signatures, deltas and patches by librsync, piece by piece: a call consumes the available input, fills the
// available output space, and returns. Numbers identify jobs, so that one thread can load a signature and others
// can use it.
#include <librsync.h>

#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>

#include "calls.h"

namespace tardis::calls {

namespace {

constexpr size_t kHeaderBytes = 12;           // header of a signature: magic, length of blocks, length of strong sums
constexpr size_t kWeakBytes = 4;
constexpr size_t kLeastStrongBytes = 16;      // collisions of shorter sums can be constructed
constexpr size_t kMostStrongBytes = RS_MAX_STRONG_SUM_LENGTH;
constexpr size_t kMostBlockBytes = 64u << 20; // a delta job reads ahead by a block
constexpr size_t kMostJobs = 1024;            // open at once; the limit exposes jobs that are never closed
constexpr size_t kProgressBytes = 7 * sizeof(double);

enum Status { kMore = 0, kDone = 1, kNeedsBasis = 2 };

// The details that librsync logs about a failure, kept for the current call of this thread.
thread_local char detail[160];

void keepDetail(rs_loglevel level, char const* message) {
  if (level > RS_LOG_ERR || detail[0] != 0) return;  // the first one is the cause
  // "librsync: ERROR: (function) text\n"
  const char* text = strstr(message, ") ");
  snprintf(detail, sizeof detail, "%s", text == nullptr ? message : text + 2);
  detail[strcspn(detail, "\n")] = 0;
}

void quietOnce() {
  static std::once_flag once;
  std::call_once(once, [] {
    rs_trace_to(keepDetail);  // librsync would write to standard error
    rs_trace_set_level(RS_LOG_ERR);
  });
}

thread_local char reason[240];

[[noreturn]] void fail(const char* call, const char* why) {
  if (detail[0] == 0) snprintf(reason, sizeof reason, "%s", why);
  else snprintf(reason, sizeof reason, "%s (%.150s)", why, detail);
  throw Failure{0, call, "ERSYNC", reason};
}

[[noreturn]] void fail(const char* call, rs_result result) { fail(call, rs_strerror(result)); }

struct FreeSignature {
  void operator()(rs_signature_t* signature) const { rs_free_sumset(signature); }
};
struct FreeJob {
  void operator()(rs_job_t* job) const { rs_job_free(job); }
};

// The sums of the blocks of a content. Once they are indexed, nothing in them changes but librsync's counters.
struct Signature {
  std::unique_ptr<rs_signature_t, FreeSignature> sums;
  std::mutex indexing;  // guards both flags, and the construction of the index
  bool isLoaded = false;
  bool isIndexed = false;
};

struct Job {
  std::mutex busy;
  bool isOver = false;
  std::unique_ptr<rs_job_t, FreeJob> job;
  std::shared_ptr<Signature> signature;  // the signature that the job loads, or that its delta uses

  // For a job that loads a signature: limits for the header, and state of the input received so far.
  bool isLoader = false;
  size_t mostBlocks = 0;
  size_t mostBlockBytes = 0;
  uint8_t header[kHeaderBytes];
  size_t loadedBytes = 0;
  size_t sumBytes = 0;

  // For a patch: the length of the basis, the requested range of it, and the number of its bytes that the caller has
  // already put at the output.
  bool isPatch = false;
  size_t basisBytes = 0;
  size_t wantedAt = 0;
  size_t wantedBytes = 0;
  size_t givenBytes = 0;
};

std::mutex jobsLock;

std::map<size_t, std::shared_ptr<Job>>& jobs() {
  // Never destroyed, because threads may still run while the process exits.
  static auto* all = new std::map<size_t, std::shared_ptr<Job>>();
  return *all;
}

napi_value open(const Call& call, std::shared_ptr<Job> job) {
  static size_t last = 0;
  const std::lock_guard<std::mutex> hold(jobsLock);
  if (jobs().size() >= kMostJobs) throw Failure{EMFILE, call.name()};
  last += 1;
  jobs().emplace(last, std::move(job));
  return call.number(static_cast<double>(last));
}

std::shared_ptr<Job> find(const Call& call, size_t number) {
  const std::lock_guard<std::mutex> hold(jobsLock);
  const auto found = jobs().find(number);
  if (found == jobs().end()) throw Failure{EBADF, call.name()};
  return found->second;
}

uint32_t bigEndian(const uint8_t* from) {
  return uint32_t{from[0]} << 24 | uint32_t{from[1]} << 16 | uint32_t{from[2]} << 8 | from[3];
}

// Checks the header, because librsync trusts it and allocates memory by it.
void checkHeader(const Call& call, Job* job) {
  const uint32_t magic = bigEndian(job->header);
  const uint32_t blockBytes = bigEndian(job->header + 4);
  const uint32_t strongBytes = bigEndian(job->header + 8);
  if (magic != RS_RK_BLAKE2_SIG_MAGIC && magic != RS_BLAKE2_SIG_MAGIC) fail(call.name(), RS_BAD_MAGIC);
  if (blockBytes == 0 || blockBytes > job->mostBlockBytes) fail(call.name(), "a block length that cannot be");
  if (strongBytes < kLeastStrongBytes || strongBytes > kMostStrongBytes) {
    fail(call.name(), "strong sums of a length that cannot be");
  }
  job->sumBytes = kWeakBytes + strongBytes;
}

// Checks a piece of a signature before librsync reads it. The limit on the number of sums bounds librsync's
// memory.
void checkPiece(const Call& call, Job* job, const uint8_t* data, size_t size) {
  for (size_t at = 0; at < size && job->loadedBytes + at < kHeaderBytes; ++at) {
    job->header[job->loadedBytes + at] = data[at];
  }
  const size_t before = job->loadedBytes;
  job->loadedBytes += size;
  if (before < kHeaderBytes && job->loadedBytes >= kHeaderBytes) checkHeader(call, job);
  if (job->loadedBytes <= kHeaderBytes) return;
  if ((job->loadedBytes - kHeaderBytes) / job->sumBytes > job->mostBlocks) fail(call.name(), "too many blocks");
}

// Throws if a signature ends within a sum. It is then truncated, which librsync does not always detect.
void checkWhole(const Call& call, const Job* job) {
  if (job->loadedBytes < kHeaderBytes || (job->loadedBytes - kHeaderBytes) % job->sumBytes != 0) {
    fail(call.name(), RS_INPUT_ENDED);
  }
}

// Called by librsync for each piece of a copy command. The first call records the range of the basis that is needed,
// and blocks the job. The caller then puts these bytes at the end of the output itself, and steps the job again.
rs_result copyFromBasis(void* opaque, rs_long_t position, size_t* bytes, void**) {
  auto* job = static_cast<Job*>(opaque);
  const auto at = static_cast<uint64_t>(position);
  if (position < 0 || at > job->basisBytes || *bytes > job->basisBytes - at) {
    snprintf(detail, sizeof detail, "a copy from outside of the basis");
    return RS_CORRUPT;
  }
  if (job->givenBytes > 0) {
    // The bytes given are those requested, because the job has not advanced since.
    if (at != job->wantedAt || job->givenBytes > *bytes) return RS_PARAM_ERROR;
    *bytes = job->givenBytes;
    job->givenBytes = 0;
    return RS_DONE;
  }
  job->wantedAt = at;
  job->wantedBytes = *bytes;
  return RS_BLOCKED;
}

void loadDone(const Call& call, Job* job) {
  checkWhole(call, job);
  job->job.reset();
  const std::lock_guard<std::mutex> hold(job->signature->indexing);  // another thread may read the flag
  job->signature->isLoaded = true;
}

}  // namespace

napi_value rsyncSignature(const Call& call) {
  quietOnce();
  const size_t blockBytes = call.count(0);
  const size_t strongBytes = call.count(1);
  if (blockBytes == 0 || blockBytes > kMostBlockBytes || strongBytes < kLeastStrongBytes ||
      strongBytes > kMostStrongBytes) {
    throw Failure{EINVAL, call.name()};
  }
  auto job = std::make_shared<Job>();
  job->job.reset(rs_sig_begin(blockBytes, strongBytes, RS_RK_BLAKE2_SIG_MAGIC));
  return open(call, std::move(job));
}

napi_value rsyncLoad(const Call& call) {
  quietOnce();
  auto job = std::make_shared<Job>();
  job->isLoader = true;
  job->mostBlocks = call.count(0);
  job->mostBlockBytes = call.count(1);
  if (job->mostBlockBytes > kMostBlockBytes) job->mostBlockBytes = kMostBlockBytes;
  job->signature = std::make_shared<Signature>();
  rs_signature_t* sums = nullptr;
  job->job.reset(rs_loadsig_begin(&sums));
  job->signature->sums.reset(sums);
  return open(call, std::move(job));
}

napi_value rsyncDelta(const Call& call) {
  const std::shared_ptr<Signature> signature = find(call, call.count(0))->signature;
  if (signature == nullptr) throw Failure{EINVAL, call.name()};
  detail[0] = 0;
  {
    const std::lock_guard<std::mutex> hold(signature->indexing);
    if (!signature->isLoaded) throw Failure{EINVAL, call.name(), nullptr, "the signature is not loaded yet"};
    if (!signature->isIndexed) {
      const rs_result result = rs_build_hash_table(signature->sums.get());
      if (result != RS_DONE) fail(call.name(), result);
      signature->isIndexed = true;
    }
  }
  auto job = std::make_shared<Job>();
  job->signature = signature;
  job->job.reset(rs_delta_begin(signature->sums.get()));
  return open(call, std::move(job));
}

napi_value rsyncPatch(const Call& call) {
  quietOnce();
  auto job = std::make_shared<Job>();
  job->isPatch = true;
  job->basisBytes = call.count(0);
  job->job.reset(rs_patch_begin(copyFromBasis, job.get()));
  return open(call, std::move(job));
}

napi_value rsyncStep(const Call& call) {
  const std::shared_ptr<Job> job = find(call, call.count(0));
  const size_t inputBytes = call.count(3);
  const uint8_t* input = call.bytes(1).range(call.count(2), inputBytes, call.name());
  const bool isLast = call.truth(4);
  const Bytes output = call.bytes(5);
  const size_t outputAt = call.count(6);
  if (outputAt > output.size) throw Failure{EINVAL, call.name()};
  const size_t givenBytes = call.count(7);
  uint8_t* progress = call.bytes(8).range(0, kProgressBytes, call.name());

  const std::lock_guard<std::mutex> hold(job->busy);
  if (job->isOver || job->job == nullptr) throw Failure{EINVAL, call.name(), nullptr, "the job is over"};
  detail[0] = 0;
  job->isOver = true;  // until the step succeeds
  if (job->isLoader) checkPiece(call, job.get(), input, inputBytes);
  if (givenBytes > job->wantedBytes || (givenBytes > 0 && !job->isPatch)) throw Failure{EINVAL, call.name()};
  job->givenBytes = givenBytes;
  job->wantedBytes = 0;

  rs_buffers_t buffers{};
  buffers.next_in = reinterpret_cast<char*>(const_cast<uint8_t*>(input));
  buffers.avail_in = inputBytes;
  buffers.eof_in = isLast ? 1 : 0;
  buffers.next_out = reinterpret_cast<char*>(output.data + outputAt);
  buffers.avail_out = output.size - outputAt;
  rs_result result;
  for (;;) {
    const size_t in = buffers.avail_in;
    const size_t out = buffers.avail_out;
    result = rs_job_iter(job->job.get(), &buffers);
    // librsync may report RS_INTERNAL_ERROR for a job that waits for the basis, since the job makes no progress.
    if (job->wantedBytes > 0 && (result == RS_BLOCKED || result == RS_INTERNAL_ERROR)) break;
    if (result != RS_BLOCKED || (buffers.avail_in == in && buffers.avail_out == out)) break;
  }
  const bool isWanting = job->wantedBytes > 0;
  if (!isWanting && result != RS_BLOCKED && result != RS_DONE) fail(call.name(), result);
  if (result == RS_DONE && job->isLoader) loadDone(call, job.get());
  if (result == RS_DONE && buffers.avail_in > 0) fail(call.name(), "bytes behind the end");
  job->isOver = result == RS_DONE;

  double figures[7] = {};
  figures[0] = static_cast<double>(inputBytes - buffers.avail_in);
  figures[1] = static_cast<double>(output.size - outputAt - buffers.avail_out);
  figures[2] = static_cast<double>(job->wantedAt);
  figures[3] = static_cast<double>(job->wantedBytes);
  if (job->job != nullptr) {
    const rs_stats_t* stats = rs_job_statistics(job->job.get());
    figures[4] = static_cast<double>(stats->lit_cmds + stats->copy_cmds);
    figures[5] = static_cast<double>(stats->lit_bytes);
    figures[6] = static_cast<double>(stats->copy_bytes);
  }
  memcpy(progress, figures, kProgressBytes);
  return call.number(isWanting ? kNeedsBasis : result == RS_DONE ? kDone : kMore);
}

napi_value rsyncClose(const Call& call) {
  const size_t number = call.count(0);
  std::shared_ptr<Job> job;  // freed after the lock is released
  {
    const std::lock_guard<std::mutex> hold(jobsLock);
    const auto found = jobs().find(number);
    if (found == jobs().end()) throw Failure{EBADF, call.name()};
    job = std::move(found->second);
    jobs().erase(found);
  }
  return call.nothing();
}

}  // namespace tardis::calls
