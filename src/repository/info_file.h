#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "codec/sink.h"

namespace pgrevive::repository {

// Reads the text of an info file (archive.info, backup.info, backup.manifest) as a stream: INI-like
// sections of key=JSON lines, closed by a checksum over the raw text. Format facts:
// docs/format/info_file.md.
//
// `entry` is called for each line in file order; the views live until it returns. Only finish()
// proves that what was told before is true: it throws Error{corrupt} when the checksum is missing
// or wrong, and Error{unsupported} (from write() already) when backrest-format is not 5.
class InfoFileReader : public Sink {
 public:
  using Entry = std::function<void(std::string_view section, std::string_view key,
                                   std::string_view json_value)>;

  // `name` is for messages ("backup/main/backup.info").
  InfoFileReader(std::string name, Entry entry);
  ~InfoFileReader() override;
  void write(ByteView bytes) override;
  void finish() override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace pgrevive::repository
