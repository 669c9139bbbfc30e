// Signatures, deltas and patches in librsync's formats, piece by piece: a call consumes the available input, fills the
// available output space, and returns. Numbers identify jobs, so that one thread can load a signature and others can use it.
// Signatures and deltas are made here; librsync itself applies deltas.
#include <librsync.h>

#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>

#include "block-sums.h"
#include "calls.h"
#include "delta-search.h"

namespace tardis::calls {

namespace {

constexpr size_t kMostJobs = 1024;  // open at once; the limit exposes jobs that are never closed
constexpr size_t kFigures = 7;

enum Status { kMore = 0, kDone = 1, kNeedsBasis = 2 };

// One call for a job.
struct Step {
  const char* call;
  const uint8_t* input;
  size_t inputBytes;
  bool isLast;
  uint8_t* output;
  size_t outputBytes;  // room
  size_t givenBytes;   // of the basis, at the output
  // The results.
  size_t takenBytes = 0;
  size_t putBytes = 0;
  size_t wantedAt = 0;
  size_t wantedBytes = 0;
  Maker::Totals totals;
};

class Job {
 public:
  std::mutex busy;
  bool isOver = false;
  size_t wantedBytes = 0;  // of the basis, which the caller may give with the next step

  virtual ~Job() = default;
  virtual Status advance(Step* step) = 0;
  // Returns the sums that a finished job has loaded; null for other jobs.
  virtual std::shared_ptr<BlockSums> sums() { return nullptr; }
};

// A job that makes a signature or a delta. It takes all of its input, and keeps what there is no room for.
class MakingJob : public Job {
 public:
  explicit MakingJob(std::unique_ptr<Maker> maker) : maker_(std::move(maker)) {}

  Status advance(Step* step) override {
    if (!isFed_) maker_->push(step->input, step->inputBytes, step->isLast);
    step->takenBytes = step->inputBytes;
    isFed_ = isFed_ || step->isLast;
    step->putBytes = maker_->take(step->output, step->outputBytes);
    step->totals = maker_->totals();
    return isFed_ && maker_->isEmpty() ? kDone : kMore;
  }

 private:
  const std::unique_ptr<Maker> maker_;
  bool isFed_ = false;
};

class LoadingJob : public Job {
 public:
  explicit LoadingJob(std::shared_ptr<BlockSums> sums) : sums_(std::move(sums)) {}

  Status advance(Step* step) override {
    sums_->take(step->input, step->inputBytes, step->isLast);
    step->takenBytes = step->inputBytes;
    return step->isLast ? kDone : kMore;
  }

  std::shared_ptr<BlockSums> sums() override { return sums_; }

 private:
  const std::shared_ptr<BlockSums> sums_;
};

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

struct FreeJob {
  void operator()(rs_job_t* job) const { rs_job_free(job); }
};

class PatchJob : public Job {
 public:
  explicit PatchJob(size_t basisBytes) : basisBytes_(basisBytes) {
    quietOnce();
    job_.reset(rs_patch_begin(copyFromBasis, this));
  }

  Status advance(Step* step) override {
    detail[0] = 0;
    givenBytes_ = step->givenBytes;
    wantedBytes = 0;
    rs_buffers_t buffers{};
    buffers.next_in = reinterpret_cast<char*>(const_cast<uint8_t*>(step->input));
    buffers.avail_in = step->inputBytes;
    buffers.eof_in = step->isLast ? 1 : 0;
    buffers.next_out = reinterpret_cast<char*>(step->output);
    buffers.avail_out = step->outputBytes;
    const rs_result result = iterate(&buffers);
    const bool isWanting = wantedBytes > 0;
    if (!isWanting && result != RS_BLOCKED && result != RS_DONE) fail(step->call, rs_strerror(result));
    if (result == RS_DONE && buffers.avail_in > 0) fail(step->call, "bytes behind the end");
    step->takenBytes = step->inputBytes - buffers.avail_in;
    step->putBytes = step->outputBytes - buffers.avail_out;
    step->wantedAt = wantedAt_;
    step->wantedBytes = wantedBytes;
    return isWanting ? kNeedsBasis : result == RS_DONE ? kDone : kMore;
  }

 private:
  // Runs librsync until it needs more input, output space or bytes of the basis.
  rs_result iterate(rs_buffers_t* buffers) {
    for (;;) {
      const size_t in = buffers->avail_in;
      const size_t out = buffers->avail_out;
      const rs_result result = rs_job_iter(job_.get(), buffers);
      // librsync may report RS_INTERNAL_ERROR for a job that waits for the basis, since the job makes no progress.
      if (wantedBytes > 0 && (result == RS_BLOCKED || result == RS_INTERNAL_ERROR)) return result;
      if (result != RS_BLOCKED || (buffers->avail_in == in && buffers->avail_out == out)) return result;
    }
  }

  // Called by librsync for each piece of a copy command. The first call records the range of the basis that is needed,
  // and blocks the job. The caller then puts these bytes at the end of the output itself, and steps the job again.
  static rs_result copyFromBasis(void* opaque, rs_long_t position, size_t* bytes, void**) {
    auto* job = static_cast<PatchJob*>(opaque);
    const auto at = static_cast<uint64_t>(position);
    if (position < 0 || at > job->basisBytes_ || *bytes > job->basisBytes_ - at) {
      snprintf(detail, sizeof detail, "a copy from outside of the basis");
      return RS_CORRUPT;
    }
    if (job->givenBytes_ > 0) {
      // The bytes given are those requested, because the job has not advanced since.
      if (at != job->wantedAt_ || job->givenBytes_ > *bytes) return RS_PARAM_ERROR;
      *bytes = job->givenBytes_;
      job->givenBytes_ = 0;
      return RS_DONE;
    }
    job->wantedAt_ = at;
    job->wantedBytes = *bytes;
    return RS_BLOCKED;
  }

  const size_t basisBytes_;
  std::unique_ptr<rs_job_t, FreeJob> job_;
  size_t wantedAt_ = 0;    // begin of the range of the basis that is needed
  size_t givenBytes_ = 0;  // of that range, which the caller has already put at the output
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

}  // namespace

napi_value rsyncSignature(const Call& call) {
  const size_t blockBytes = call.count(0);
  const size_t strongBytes = call.count(1);
  if (blockBytes == 0 || blockBytes > kMostBlockBytes || strongBytes < kLeastStrongBytes || strongBytes > kBlake2Bytes) {
    throw Failure{EINVAL, call.name()};
  }
  return open(call, std::make_shared<MakingJob>(std::make_unique<BlockSigner>(blockBytes, strongBytes)));
}

napi_value rsyncLoad(const Call& call) {
  const auto sums = std::make_shared<BlockSums>(call.count(0), call.count(1), call.count(2), call.count(3));
  return open(call, std::make_shared<LoadingJob>(sums));
}

napi_value rsyncDelta(const Call& call) {
  const std::shared_ptr<BlockSums> sums = find(call, call.count(0))->sums();
  if (sums == nullptr) throw Failure{EINVAL, call.name()};
  if (!sums->isWhole()) throw Failure{EINVAL, call.name(), nullptr, "the signature is not loaded yet"};
  sums->index();
  return open(call, std::make_shared<MakingJob>(std::make_unique<DeltaSearch>(sums)));
}

napi_value rsyncPatch(const Call& call) { return open(call, std::make_shared<PatchJob>(call.count(0))); }

napi_value rsyncStep(const Call& call) {
  const std::shared_ptr<Job> job = find(call, call.count(0));
  Step step{};
  step.call = call.name();
  step.inputBytes = call.count(3);
  step.input = call.bytes(1).range(call.count(2), step.inputBytes, call.name());
  step.isLast = call.truth(4);
  const Bytes output = call.bytes(5);
  const size_t outputAt = call.count(6);
  step.output = output.range(outputAt, 0, call.name());
  step.outputBytes = output.size - outputAt;
  step.givenBytes = call.count(7);
  uint8_t* progress = call.bytes(8).range(0, kFigures * sizeof(double), call.name());

  const std::lock_guard<std::mutex> hold(job->busy);
  if (job->isOver) throw Failure{EINVAL, call.name(), nullptr, "the job is over"};
  job->isOver = true;  // until the step succeeds
  if (step.givenBytes > job->wantedBytes) throw Failure{EINVAL, call.name()};
  const Status status = job->advance(&step);
  job->isOver = status == kDone;

  const size_t results[kFigures] = {step.takenBytes, step.putBytes, step.wantedAt, step.wantedBytes, step.totals.commands,
                                    step.totals.literalBytes, step.totals.copiedBytes};
  double figures[kFigures];
  for (size_t i = 0; i < kFigures; ++i) figures[i] = static_cast<double>(results[i]);
  memcpy(progress, figures, sizeof figures);
  return call.number(status);
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
