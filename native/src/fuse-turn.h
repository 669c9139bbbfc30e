// A thread that reads the kernel's requests while JavaScript works. At any time, either this thread or the thread of
// JavaScript reads them.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>

namespace tardis {

// The part of a listener that handles what the other thread reads during its turn. Both functions are called with the
// lock of the turn held.
class TurnTaker {
 public:
  // Handles the result of a read: bytes, or the negative errno. Returns false to end the turn.
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

  // Ends the thread, and calls the taker no more. A thread that waits for a request ends only when the next one comes.
  void end();

  // Lets the other thread read. Returns false if there can be no other thread.
  bool start();

  // True while the other thread reads.
  bool isTaken() const;

  // Returns the lock that the thread of JavaScript holds while it changes something that both threads use.
  std::unique_lock<std::mutex> lock() const;

 private:
  // The state that both threads share. The other thread may outlive the listener, because nothing interrupts it while
  // it reads.
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
