#include "restore/fetch.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "support/memory_storage.h"
#include "support/throws.h"
#include "unit/restore/repository_builder.h"

namespace pgrevive::restore {
namespace {

using test::TamperedStorage;

// Runs tasks with real fetch threads and `workers` threads of its own.
class FetchTest : public testing::Test {
 protected:
  FetchTest() {
    for (int i = 0; i < 8; ++i)
      storage_.objects.put(fmt::format("o{}", i), test::noise(100'000, 1));
  }

  static Piece piece(int object, std::uint64_t offset, std::uint64_t length) {
    return {fmt::format("o{}", object), {offset, length}};
  }

  std::function<std::optional<Task>()> in_order() {
    return [this]() -> std::optional<Task> {
      if (next_ == tasks_.size()) return {};
      return tasks_[next_++];
    };
  }

  void work(Fetcher& fetcher, unsigned workers) {
    std::vector<std::jthread> threads;
    for (unsigned i = 0; i < workers; ++i) {
      threads.emplace_back([&, i] {
        while (const auto delivery = fetcher.take(i)) {
          try {
            delivery->work();
          } catch (...) {
            fetcher.fail(std::current_exception());
          }
          fetcher.done(delivery);
        }
      });
    }
  }

  TamperedStorage storage_;
  std::vector<Task> tasks_;
  std::size_t next_ = 0;
  Memory memory_{256u << 20};
  Observer silent_;
  Report report_{silent_};
};

TEST_F(FetchTest, BringsTheBytesOfEachTaskInTheOrderOfItsPieces) {
  std::mutex mutex;
  std::map<int, std::string> got;
  for (int i = 0; i < 50; ++i) {
    tasks_.push_back(
        {{piece(i % 8, 10, 100), piece(0, 500, 7), piece(i % 8, 0, 3)}, [&, i](Delivery& delivery) {
           std::string text;
           for (int j = 0; j < 3; ++j) {
             const auto buffer = delivery.next();
             text += as_text(buffer.bytes());
           }
           const std::lock_guard lock(mutex);
           got[i] = text;
         }});
  }
  {
    Fetcher fetcher(storage_, {.requests = 7, .workers = 3}, in_order(), memory_, report_, {});
    work(fetcher, 3);
    EXPECT_FALSE(fetcher.failure());
  }
  const auto text = test::noise(100'000, 1);
  ASSERT_EQ(got.size(), 50u);
  for (const auto& [i, bytes] : got) {
    EXPECT_EQ(bytes, text.substr(10, 100) + text.substr(500, 7) + text.substr(0, 3));
  }
  EXPECT_EQ(report_.progress().requests, 150u);
}

TEST_F(FetchTest, ManyRequestsAreUnderWayThoughOneWorkerDecodes) {
  // Every request waits until five are under way at once, which one worker alone never makes.
  std::mutex mutex;
  std::condition_variable met;
  int waiting = 0;
  storage_.on_read = [&](const TamperedStorage::Read&, std::string&) {
    std::unique_lock lock(mutex);
    ++waiting;
    met.notify_all();
    met.wait_for(lock, std::chrono::seconds(20), [&] { return waiting >= 5; });
  };
  for (int i = 0; i < 5; ++i) {
    tasks_.push_back({{piece(i, 0, 1000)}, [](Delivery& delivery) { delivery.next(); }});
  }
  Fetcher fetcher(storage_, {.requests = 5, .workers = 1}, in_order(), memory_, report_, {});

  work(fetcher, 1);

  EXPECT_GE(waiting, 5);
}

struct Ceiling {
  const char* name;
  unsigned requests;
  unsigned workers;
  std::uint64_t memory;
};

class FetchCeiling : public FetchTest, public testing::WithParamInterface<Ceiling> {};

// Pieces of very different sizes, tasks that add tasks, pieces left untaken: whatever the memory,
// it ends, and the ceiling holds.
TEST_P(FetchCeiling, HoldsAndNothingWaitsForever) {
  const auto& limits = GetParam();
  const auto size = Fetcher::piece_size(limits.memory, limits.workers, 8u << 20);
  std::atomic<int> done{0};
  Fetcher* fetcher = nullptr;
  for (int i = 0; i < 60; ++i) {
    Task task;
    for (int j = 0; j < 1 + i % 7; ++j) {
      task.pieces.push_back(
          piece(i % 8, 0, std::min<std::uint64_t>(size, i % 3 == 0 ? 100'000 : 10 + i)));
    }
    task.work = [&, i](Delivery& delivery) {
      for (std::size_t j = 0; j < delivery.pieces().size() - (i % 5 == 0 ? 1 : 0); ++j) {
        delivery.next();
      }
      ++done;
      if (i % 2 != 0) return;
      fetcher->add_first({{piece(0, 0, std::min<std::uint64_t>(size, 90'000)), piece(1, 0, 20)},
                          [&](Delivery& more) {
                            more.next();
                            more.next();
                            ++done;
                          }});
    };
    tasks_.push_back(std::move(task));
  }
  std::mutex ready;
  std::unique_lock not_yet(ready);
  storage_.on_read = [&](const TamperedStorage::Read&, std::string&) {
    const std::lock_guard wait(ready);
  };
  Fetcher made(storage_,
               {.requests = limits.requests,
                .workers = limits.workers,
                .tasks = limits.workers,
                .memory = limits.memory,
                .piece = size},
               in_order(), memory_, report_, {});
  fetcher = &made;
  not_yet.unlock();

  work(made, limits.workers);

  EXPECT_FALSE(made.failure());
  EXPECT_EQ(done, 60 + 30);
  EXPECT_LE(made.most_memory(), limits.memory);
}

INSTANTIATE_TEST_SUITE_P(All, FetchCeiling,
                         testing::Values(Ceiling{"plenty", 32, 4, 256u << 20},
                                         Ceiling{"tight", 8, 4, 1u << 20},
                                         Ceiling{"one_of_each", 1, 1, 200'000},
                                         Ceiling{"more_workers_than_requests", 1, 6, 1u << 20},
                                         Ceiling{"more_requests_than_memory", 40, 1, 150'000}),
                         [](const auto& test) { return std::string(test.param.name); });

TEST_F(FetchTest, AFailedRequestIsToldToTheTaskThatNeedsIt) {
  storage_.objects.fail("o3", Error(ErrorKind::unavailable, "cut"), 10);
  std::atomic<int> done{0};
  for (int i = 0; i < 8; ++i) {
    tasks_.push_back({{piece(i, 0, 1000)}, [&](Delivery& delivery) {
                        delivery.next();
                        ++done;
                      }});
  }
  Fetcher fetcher(storage_, {.requests = 1, .workers = 1}, in_order(), memory_, report_, {});

  work(fetcher, 1);

  EXPECT_THAT([&] { std::rethrow_exception(fetcher.failure()); },
              test::throws(ErrorKind::unavailable, "cut"));
  EXPECT_EQ(done, 3);
}

TEST_F(FetchTest, WhatTheSourceOfTasksThrowsEndsIt) {
  const auto broken = []() -> std::optional<Task> {
    throw Error(ErrorKind::corrupt, "no such job");
  };
  Fetcher fetcher(storage_, {}, broken, memory_, report_, {});

  work(fetcher, 2);

  EXPECT_THAT([&] { std::rethrow_exception(fetcher.failure()); },
              test::throws(ErrorKind::corrupt, "no such job"));
}

TEST_F(FetchTest, AReadThatEndsEarlyWithoutSayingSoIsCorrupt) {
  storage_.on_read = [](const TamperedStorage::Read&, std::string& bytes) { bytes.resize(900); };
  tasks_.push_back({{piece(0, 0, 1000)}, [](Delivery& delivery) { delivery.next(); }});
  Fetcher fetcher(storage_, {}, in_order(), memory_, report_, {});

  work(fetcher, 1);

  EXPECT_THAT([&] { std::rethrow_exception(fetcher.failure()); },
              test::throws(ErrorKind::corrupt, "900 of the 1000 bytes"));
}

TEST_F(FetchTest, AStopEndsWorkersThatWait) {
  std::stop_source source;
  std::mutex mutex;
  std::condition_variable stopped;
  storage_.on_read = [&](const TamperedStorage::Read&, std::string&) { source.request_stop(); };
  std::atomic<bool> cancelled{false};
  for (int i = 0; i < 100; ++i) {
    tasks_.push_back({{piece(0, 0, 100), piece(1, 0, 100)}, [&](Delivery& delivery) {
                        try {
                          delivery.next();
                          delivery.next();
                        } catch (const Error& error) {
                          cancelled = error.kind() == ErrorKind::cancelled;
                        }
                      }});
  }
  Fetcher fetcher(storage_, {.requests = 2, .workers = 2}, in_order(), memory_, report_,
                  source.get_token());

  work(fetcher, 2);

  EXPECT_TRUE(fetcher.stopping());
  // Of 200; how many were made before the stop got round is chance.
  EXPECT_LT(report_.progress().requests, 100u);
}

TEST_F(FetchTest, ALateRequestIsMadeASecondTimeAndTheFirstIsStopped) {
  std::atomic<bool> first_was_stopped{false};
  storage_.on_read = [&](const TamperedStorage::Read& read, std::string&) {
    if (read.path != "o7" || read.number != 1) return;
    // A server that never answers this one.
    for (int i = 0; i < 2000 && !read.stop.stop_requested(); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    first_was_stopped = read.stop.stop_requested();
    throw Error(ErrorKind::cancelled, "stopped");
  };
  std::atomic<int> done{0};
  for (int i = 0; i < 60; ++i) {
    tasks_.push_back({{piece(i == 30 ? 7 : i % 7, 0, 1000)}, [&](Delivery& delivery) {
                        delivery.next();
                        ++done;
                      }});
  }
  {
    Fetcher fetcher(storage_, {.requests = 4, .workers = 2}, in_order(), memory_, report_, {});
    work(fetcher, 2);
    EXPECT_FALSE(fetcher.failure());
    EXPECT_LE(fetcher.most_memory(), 256u << 20);
  }
  EXPECT_EQ(done, 60);
  EXPECT_TRUE(first_was_stopped);
  EXPECT_EQ(report_.progress().requests, 61u);
  EXPECT_EQ(report_.progress().fetched, 60'000u);
}

TEST_F(FetchTest, ARequestUnderWayEndsWithAStop) {
  std::stop_source source;
  storage_.on_read = [&](const TamperedStorage::Read& read, std::string&) {
    source.request_stop();
    for (int i = 0; i < 2000 && !read.stop.stop_requested(); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    EXPECT_TRUE(read.stop.stop_requested());
  };
  tasks_.push_back({{piece(0, 0, 100)}, [](Delivery& delivery) {
                      EXPECT_THAT([&] { delivery.next(); }, test::throws(ErrorKind::cancelled));
                    }});
  Fetcher fetcher(storage_, {.requests = 1, .workers = 1}, in_order(), memory_, report_,
                  source.get_token());

  work(fetcher, 1);

  EXPECT_FALSE(fetcher.failure());
}

}  // namespace
}  // namespace pgrevive::restore
