// A thread that reads the kernel's requests while JavaScript works. Either it reads them or the thread of JavaScript does.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>

namespace tardis {

// The part of a listener that reads in its turn. It is called with the lock of the turn held.
class TurnTaker {
 public:
  // Takes what a read returned: bytes, or the negative errno. Returns false to end the turn.
  virtual bool take(const uint8_t* request, ssize_t got) = 0;
  // Called when the turn has ended.
  virtual void turnEnded() = 0;

 protected:
  ~TurnTaker() = default;
};

class FuseTurn {
 public:
  FuseTurn(int fd, TurnTaker* taker);
  ~FuseTurn() { end(); }

  // Calls the taker no more. Ends the thread, unless it waits for a request: then it ends with the next one.
  void end();

  // Lets the other thread read. Returns false if there can be no other thread.
  bool start();

  // True while the other thread reads.
  bool isTaken() const;

  // Held by the thread of JavaScript while it changes what both threads use.
  std::unique_lock<std::mutex> lock() const;

 private:
  // The state of both threads. The other one may outlive the listener: while it reads, nothing interrupts it.
  struct Shared {
    std::mutex mutex;
    std::condition_variable changed;
    TurnTaker* taker;  // null once the listener has ended
    bool isTaken = false;
  };

  static void run(const std::shared_ptr<Shared>& shared, int fd);

  const int fd_;
  const std::shared_ptr<Shared> shared_;
  std::thread thread_;
};

}  // namespace tardis
