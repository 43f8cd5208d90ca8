#pragma once

#include <memory>
#include <utility>

#include "restore/fetch.h"

namespace pgrevive::restore {

// A task that a worker has begun; it is done when the last of what it consists of lets go of it.
class Begun {
 public:
  Begun(Fetcher& fetcher, std::shared_ptr<Delivery> delivery)
      : fetcher_(fetcher), delivery_(std::move(delivery)) {}
  ~Begun() { fetcher_.done(delivery_); }
  Begun(const Begun&) = delete;
  Begun& operator=(const Begun&) = delete;

  Delivery& delivery() const { return *delivery_; }

 private:
  Fetcher& fetcher_;
  std::shared_ptr<Delivery> delivery_;
};

// Work that goes on whenever some of the bytes that it needs have come, and never waits for them: a
// worker has several such at a time. Used by one thread.
class Activity {
 public:
  enum class Step { moved, waiting, ended };

  virtual ~Activity() = default;
  virtual Step step() = 0;
};

}  // namespace pgrevive::restore
