#include "cluster/findings.h"

#include <exception>

#include "base/error.h"

namespace pgrevive::cluster {

void Findings::add(const std::string& name, Finding finding) {
  finding.name = name;
  findings_.push_back(std::move(finding));
}

bool Findings::look(const std::string& name, const std::function<Finding()>& look) {
  Finding finding;
  try {
    finding = look();
  } catch (const Error& error) {
    // An error without a hint is one for which there is nothing general to say but its code.
    finding = failed(error.what(), error.hint().empty() ? "docs/errors.md says more about code " +
                                                              std::to_string(error.exit_code())
                                                        : error.hint());
  } catch (const std::exception& exception) {
    finding = failed(exception.what(), "this may be a bug: report it with the whole output");
  }
  const bool good =
      finding.result == Finding::Result::ok || finding.result == Finding::Result::warning;
  add(name, std::move(finding));
  return good;
}

}  // namespace pgrevive::cluster
