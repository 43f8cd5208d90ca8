#pragma once

#include <vector>

#include <nlohmann/json.hpp>

// pgBackRest's info JSON of several repositories: one list of stanzas, in which every archive,
// backup and database says which repository it is of. Pure.
namespace pgrevive::cli {

// The report of one repository with its number in all places that hold one.
nlohmann::json with_repository_key(nlohmann::json stanzas, int key);

// Reports of several repositories as one; backups by when they stopped. A status or cipher that is
// not the same in all of them is told as pgBackRest tells it: 4 "different across repos", "mixed".
nlohmann::json merge_repositories(const std::vector<nlohmann::json>& reports);

}  // namespace pgrevive::cli
