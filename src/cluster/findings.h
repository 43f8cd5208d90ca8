#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "cluster/doctor.h"

namespace pgrevive::cluster {

// What a look came to; its name comes from who asked for it.
inline Finding fine(std::string detail) { return {.detail = std::move(detail)}; }
inline Finding warning(std::string detail, std::string remedy) {
  return {
      .result = Finding::Result::warning, .detail = std::move(detail), .remedy = std::move(remedy)};
}
inline Finding failed(std::string detail, std::string remedy) {
  return {
      .result = Finding::Result::failed, .detail = std::move(detail), .remedy = std::move(remedy)};
}
inline Finding not_applicable(std::string why) {
  return {.result = Finding::Result::not_applicable, .detail = std::move(why)};
}
// `needed` is the name of the finding that it would have needed.
inline Finding not_run(const std::string& needed) {
  return {.result = Finding::Result::not_run, .detail = "needs " + needed};
}

// Findings in the order in which they are made. Used by one thread.
class Findings {
 public:
  void add(const std::string& name, Finding finding);
  // Likewise, and what `look` throws is a failure. Returns whether it is fine, or nearly so.
  bool look(const std::string& name, const std::function<Finding()>& look);

  std::vector<Finding> take() { return std::move(findings_); }

 private:
  std::vector<Finding> findings_;
};

}  // namespace pgrevive::cluster
