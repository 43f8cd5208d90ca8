#pragma once

#include <string>

namespace pgrevive::cluster {

// PostgreSQL 10 renamed "xlog" to "wal" and "location" to "lsn" in every function and column.
// Statements are written with the new names; this gives them in the words of `server_version`
// (150018). Pure.
std::string in_words_of(int server_version, std::string statement);

}  // namespace pgrevive::cluster
