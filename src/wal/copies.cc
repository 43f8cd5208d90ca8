#include "wal/copies.h"

#include <algorithm>

#include "base/error.h"

namespace pgrevive::wal {

template <typename Work>
void Copies::attempt(File& file, const Work& work) {
  try {
    work();
  } catch (const Error& error) {
    file.file.reset();
    file.trouble = error.what();
  }
}

void Copies::add(const std::filesystem::path& temporary) {
  auto& file = files_.emplace_back();
  attempt(file, [&] { file.file = std::make_unique<WalFile>(temporary); });
}

void Copies::write(ByteView bytes) {
  if (stop_.stop_requested()) throw Error(ErrorKind::cancelled, "asked to stop");
  progress_->note();
  for (auto& file : files_) {
    if (file.file) attempt(file, [&] { file.file->write(bytes); });
  }
  if (std::ranges::none_of(files_, [](const File& file) { return file.file != nullptr; }))
    throw Error(ErrorKind::system, files_.front().trouble);
}

void Copies::finish() {
  for (auto& file : files_) {
    if (!file.file) continue;
    file.file->finish();
    file.file->start_sync();
  }
}

void Copies::show(const std::function<void(ByteView)>& look) const {
  const auto file = std::ranges::find_if(files_, [](const File& f) { return f.file != nullptr; });
  if (file == files_.end()) throw Error(ErrorKind::system, files_.front().trouble);
  file->file->show(look);
}

bool Copies::publish(std::size_t i, const std::filesystem::path& destination) {
  auto& file = files_[i];
  if (file.file) attempt(file, [&] { file.file->publish(destination); });
  return file.file != nullptr;
}

}  // namespace pgrevive::wal
