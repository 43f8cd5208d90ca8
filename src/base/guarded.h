#pragma once

#include <condition_variable>
#include <mutex>
#include <utility>

namespace pgrevive {

// A value and the mutex that protects it, in one object, so the value cannot be reached unlocked:
//
//   Guarded<Queue> queue;
//   queue.lock()->push_back(job);
//
// Hold one Guarded at a time. Code that seems to need two wants one Guarded around both.
template <typename T>
class Guarded {
 public:
  class Lock {
   public:
    explicit Lock(Guarded& owner) : lock_(owner.mutex_), value_(&owner.value_) {}
    T* operator->() { return value_; }
    T& operator*() { return *value_; }

    template <typename Predicate>
    void wait(std::condition_variable& condition, Predicate predicate) {
      condition.wait(lock_, std::move(predicate));
    }
    template <typename Duration, typename Predicate>
    bool wait_for(std::condition_variable& condition, Duration time, Predicate predicate) {
      return condition.wait_for(lock_, time, std::move(predicate));
    }

   private:
    std::unique_lock<std::mutex> lock_;
    T* value_;
  };

  Guarded() = default;
  explicit Guarded(T value) : value_(std::move(value)) {}
  Lock lock() { return Lock(*this); }

 private:
  std::mutex mutex_;
  T value_;
};

}  // namespace pgrevive
