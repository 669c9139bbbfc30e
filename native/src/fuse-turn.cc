#include "fuse-turn.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <vector>

#include "fuse-answers.h"

namespace tardis {

namespace {

void setBlocking(int fd, bool isBlocking) {
  const int flags = fcntl(fd, F_GETFL);
  if (flags >= 0) fcntl(fd, F_SETFL, isBlocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK);
}

}  // namespace

FuseTurn::FuseTurn(int fd, TurnTaker* taker) : fd_(fd), shared_(std::make_shared<Shared>()) { shared_->taker = taker; }

void FuseTurn::end() {
  bool isReading;
  {
    const std::lock_guard<std::mutex> guard(shared_->mutex);
    shared_->taker = nullptr;
    isReading = shared_->isTaken;
  }
  shared_->changed.notify_one();
  if (!thread_.joinable()) return;
  if (isReading) thread_.detach();  // the process ends while something is mounted
  else thread_.join();
}

bool FuseTurn::start() {
  if (!thread_.joinable()) {
    try {
      thread_ = std::thread(run, shared_, fd_);
    } catch (const std::system_error&) {
      return false;
    }
  }
  {
    const std::lock_guard<std::mutex> guard(shared_->mutex);
    shared_->isTaken = true;
  }
  shared_->changed.notify_one();
  return true;
}

bool FuseTurn::isTaken() const {
  const std::lock_guard<std::mutex> guard(shared_->mutex);
  return shared_->isTaken;
}

std::unique_lock<std::mutex> FuseTurn::lock() const { return std::unique_lock<std::mutex>(shared_->mutex); }

void FuseTurn::run(const std::shared_ptr<Shared>& shared, int fd) {
  std::vector<uint8_t> request(kRequestBytes);
  std::unique_lock<std::mutex> lock(shared->mutex);
  for (;;) {
    shared->changed.wait(lock, [&shared] { return shared->isTaken || shared->taker == nullptr; });
    if (shared->taker == nullptr) return;
    setBlocking(fd, true);
    for (bool isLeft = true; isLeft;) {
      lock.unlock();
      const ssize_t read = ::read(fd, request.data(), request.size());
      const ssize_t got = read < 0 ? -errno : read;
      lock.lock();
      if (shared->taker == nullptr) return;
      // ENOENT: the request was interrupted before it was read.
      isLeft = got == -EINTR || got == -ENOENT || shared->taker->take(request.data(), got);
    }
    setBlocking(fd, false);
    shared->isTaken = false;
    shared->taker->turnEnded();
  }
}

}  // namespace tardis
