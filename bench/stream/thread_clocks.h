#pragma once

#include <chrono>
#include <map>
#include <string>
#include <thread>

namespace pgrevive::bench {

// CPU time of the engine's threads by what they do, from what the kernel keeps about each. Looks 20
// times a second, so that a twentieth of a second of a thread may be missed when it ends.
class ThreadClocks {
 public:
  using Seconds = std::chrono::duration<double>;
  struct Times {
    Seconds fetchers{0};
    Seconds workers{0};
    Seconds others{0};  // of this process, with the thread that looks and with what was missed
  };

  ThreadClocks();  // begins to look
  Times stop();    // what was used since then

 private:
  void look();

  const Seconds begin_;
  std::map<std::string, Seconds> fetchers_;  // by number of the thread
  std::map<std::string, Seconds> workers_;
  std::jthread looker_;  // alone uses the two above, until it has ended
};

}  // namespace pgrevive::bench
