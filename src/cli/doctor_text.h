#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "cluster/doctor.h"

// What `doctor` found, for a person and for a program. Pure.
namespace pgrevive::cli {

// A line each, like the table of `test`, long details and remedies broken to fit the width.
std::string findings_text(const std::vector<cluster::Finding>& findings, std::size_t width = 80);
std::string findings_json(const std::vector<cluster::Finding>& findings);

// Whether nothing failed; a warning is no failure.
bool nothing_failed(const std::vector<cluster::Finding>& findings);

// `text` in lines of at most `width` columns, broken at blanks; a word that is longer stands alone.
std::vector<std::string> wrap(const std::string& text, std::size_t width);

}  // namespace pgrevive::cli
