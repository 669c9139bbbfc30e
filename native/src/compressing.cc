// Compression by zstd. Each thread reuses one context of each kind, since creating one costs more than a small
// frame.
#include <zstd.h>

#include <memory>

#include "calls.h"
#include "encoding.h"
#include "zstd-part.h"

namespace tardis {

namespace {

struct FreeContext {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

template <typename Context>
Context* made(std::unique_ptr<Context, FreeContext>& held, Context* (*make)(), const char* call) {
  if (!held) held.reset(make());
  if (!held) throw Failure{ENOMEM, call};
  return held.get();
}

// Returns a size or setting that zstd returned; throws if it is an error.
size_t checked(size_t result, const char* call) {
  if (ZSTD_isError(result)) throw Failure{0, call, "EZSTD", ZSTD_getErrorName(result)};
  return result;
}

}  // namespace

size_t compressZstd(const Bytes& source, const Bytes& target, unsigned level, unsigned hashLog, const char* call) {
  thread_local std::unique_ptr<ZSTD_CCtx, FreeContext> held;
  thread_local unsigned settings[2] = {0, 0};
  const bool isNew = !held;
  ZSTD_CCtx* context = made(held, ZSTD_createCCtx, call);
  if (isNew || settings[0] != level || settings[1] != hashLog) {
    settings[0] = settings[1] = 0;  // until both are accepted
    checked(ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, static_cast<int>(level)), call);
    checked(ZSTD_CCtx_setParameter(context, ZSTD_c_hashLog, static_cast<int>(hashLog)), call);
    settings[0] = level;
    settings[1] = hashLog;
  }
  return checked(ZSTD_compress2(context, target.data, target.size, source.data, source.size), call);
}

namespace calls {

napi_value zstdCompress(const Call& call) {
  const Bytes target = call.bytes(1);
  const size_t at = call.count(2);
  const Bytes room = {target.range(at, 0, call.name()), target.size - at};
  return call.number(compressZstd(call.bytes(0), room, call.bits(3), call.bits(4), call.name()));
}

napi_value zstdDecompress(const Call& call) {
  thread_local std::unique_ptr<ZSTD_DCtx, FreeContext> held;
  const Bytes source = call.bytes(0);
  const Bytes target = call.bytes(1);
  ZSTD_DCtx* context = made(held, ZSTD_createDCtx, call.name());
  return call.number(
      checked(ZSTD_decompressDCtx(context, target.data, target.size, source.data, source.size), call.name()));
}

// Decompresses a part of a frame: as many bytes as the target has, from a position on. The context has memory for a
// window, which whole frames do not need.
napi_value zstdDecompressPart(const Call& call) {
  thread_local std::unique_ptr<ZSTD_DCtx, FreeContext> held;
  ZSTD_DCtx* context = made(held, ZSTD_createDCtx, call.name());
  checked(ZSTD_DCtx_reset(context, ZSTD_reset_session_only), call.name());
  checked(ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, kMaxWindowLog), call.name());
  const PartDecoded outcome = decodePart(*context, call.bytes(0), call.count(2), call.bytes(1));
  if (outcome == PartDecoded::kBroken) throw Failure{0, call.name(), "EZSTD", "the frame is broken"};
  return call.boolean(outcome == PartDecoded::kDone);
}

}  // namespace calls

}  // namespace tardis
