#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "storage/storage.h"

namespace pgrevive::storage::s3 {

// One page of ListObjectsV2.
struct ListPage {
  std::vector<Entry> entries;      // in the order of the answer
  std::string continuation_token;  // asks for the next page; empty on the last one
};

// Reads the answer to a list of `prefix` ("" or ending in '/') with delimiter '/'. Anything that is
// not wholly a list of that prefix is Error{corrupt}: an entry missing from a list would look like
// a backup or WAL segment that does not exist.
ListPage parse_list(std::string_view xml, const std::string& prefix);

}  // namespace pgrevive::storage::s3
