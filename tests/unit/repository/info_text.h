#pragma once

#include <string>
#include <string_view>

#include "codec/hash.h"

namespace pgrevive::test {

// Makes an info file of sections that are written as a person would write them:
//
//   seal("[db]\ndb-id=1\n\n[db:history]\n...")
//
// puts the first section before them and the checksum after. The checksum is computed here in a
// second way, from whole lines and with the first '=' as the only one, so it cannot share a mistake
// with the reader; keys that hold '=' need the other form, which says what the text of the checksum
// is.
inline std::string sealed(const std::string& file, const std::string& checksum_text) {
  return file + "\n[backrest]\nbackrest-checksum=\"" +
         codec::Sha1::of(as_bytes(checksum_text)).text() + "\"\n";
}

inline std::string seal(const std::string& sections, const std::string& format = "5") {
  const std::string file =
      "[backrest]\nbackrest-format=" + format + "\nbackrest-version=\"2.45\"\n\n" + sections;
  std::string json = "{";
  bool first_entry = true;
  for (std::size_t at = 0; at < file.size();) {
    const std::size_t end = std::min(file.find('\n', at), file.size());
    const std::string line = file.substr(at, end - at);
    at = end + 1;
    if (line.empty()) continue;
    if (line.front() == '[' && line.back() == ']') {
      if (json.size() > 1) json += "},";
      json += "\"" + line.substr(1, line.size() - 2) + "\":{";
      first_entry = true;
      continue;
    }
    const std::size_t equals = line.find('=');
    if (!first_entry) json += ",";
    first_entry = false;
    json += "\"" + line.substr(0, equals) + "\":" + line.substr(equals + 1);
  }
  return sealed(file, json + "}}");
}

}  // namespace pgrevive::test
