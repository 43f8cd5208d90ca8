#include "repository/repository.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/error.h"
#include "base/text.h"
#include "codec/cipher.h"
#include "repository/layout.h"

namespace pgrevive::repository {

namespace {

// Every info file begins so, which tells a right passphrase from a wrong one: there is no
// authentication in the cipher, and about one wrong passphrase in 256 decrypts to garbage without
// an error.
constexpr std::string_view kFirstLine = "[backrest]\n";
constexpr std::string_view kCipherMagic = "Salted__";
constexpr std::string_view kNewerMagic = "PGBR";

// Holds back the first bytes of a stream until `check` has looked at them.
class HeadCheck : public Sink {
 public:
  using Check = std::function<void(std::string_view head)>;

  HeadCheck(std::size_t size, Check check, Sink& next)
      : size_(size), check_(std::move(check)), next_(next) {}

  void write(ByteView bytes) override {
    if (!checked_) {
      const auto part = bytes.first(std::min(bytes.size(), size_ - head_.size()));
      head_ += as_text(part);
      bytes = bytes.subspan(part.size());
      if (head_.size() < size_) return;
      pass_on();
    }
    if (!bytes.empty()) next_.write(bytes);
  }

  void finish() override {
    if (!checked_) pass_on();
    next_.finish();
  }

 private:
  void pass_on() {
    check_(head_);
    checked_ = true;
    next_.write(as_bytes(head_));
  }

  std::size_t size_;
  Check check_;
  Sink& next_;
  std::string head_;
  bool checked_ = false;
};

// What opens a file, and the words for when it does not.
struct Key {
  const Secret& passphrase;
  ErrorKind kind_of_mistake;
  std::string_view missing_hint;
  std::string_view superfluous_hint;
  std::string_view wrong_hint;
};

Key users_key(const Secret& passphrase) {
  return {.passphrase = passphrase,
          .kind_of_mistake = ErrorKind::usage,
          .missing_hint =
              "give the repository's cipher passphrase (repo1-cipher-pass in "
              "pgbackrest.conf)",
          .superfluous_hint =
              "remove the cipher passphrase, or check that the path is that of the "
              "encrypted repository",
          .wrong_hint =
              "give the passphrase that the repository was made with (repo1-cipher-pass "
              "in pgbackrest.conf of the source)"};
}

Key manifest_key(const Secret& passphrase) {
  constexpr std::string_view kHint =
      "backup.info and the manifest do not belong together; was one of them restored from "
      "elsewhere?";
  return {.passphrase = passphrase,
          .kind_of_mistake = ErrorKind::corrupt,
          .missing_hint = kHint,
          .superfluous_hint = kHint,
          .wrong_hint = kHint};
}

void check_outside(std::string_view head, const std::string& where, const Key& key) {
  if (head.starts_with(kNewerMagic)) {
    const std::string_view digits = head.substr(kNewerMagic.size(), 3);
    const auto format = parse_unsigned(digits);
    if (digits.size() == 3 && format) {
      throw Error(
          ErrorKind::unsupported,
          fmt::format("{} has repository format {}, made by a newer pgBackRest", where, *format))
          .with_hint("only format 5 can be read; use a newer pgrevive");
    }
  }
  const bool encrypted = head == kCipherMagic;
  if (encrypted && key.passphrase.empty()) {
    throw Error(key.kind_of_mistake,
                fmt::format("{} is encrypted, and no passphrase was given for it", where))
        .with_hint(std::string(key.missing_hint));
  }
  if (!encrypted && !key.passphrase.empty()) {
    if (!head.empty() && kFirstLine.starts_with(head)) {
      throw Error(key.kind_of_mistake,
                  fmt::format("{} is not encrypted, but a passphrase was given for it", where))
          .with_hint(std::string(key.superfluous_hint));
    }
    throw Error(ErrorKind::corrupt, fmt::format("{} is not an encrypted file", where));
  }
}

void check_inside(std::string_view head, const std::string& where, const Key& key) {
  if (head == kFirstLine) return;
  if (key.passphrase.empty()) {
    throw Error(
        ErrorKind::corrupt,
        fmt::format("{} does not begin with [backrest], as a file of pgBackRest does", where));
  }
  throw Error(key.kind_of_mistake, fmt::format("the passphrase does not open {}", where))
      .with_hint(std::string(key.wrong_hint));
}

void read_info_file(const storage::Storage& storage, const std::string& path, const Key& key,
                    Sink& reader) {
  const std::string where = storage.describe(path);
  HeadCheck inside(
      kFirstLine.size(), [&](std::string_view head) { check_inside(head, where, key); }, reader);
  std::unique_ptr<Sink> decryptor;
  if (!key.passphrase.empty())
    decryptor = codec::make_decryptor(key.passphrase, codec::Form::standard, inside);
  HeadCheck outside(
      kCipherMagic.size(), [&](std::string_view head) { check_outside(head, where, key); },
      decryptor ? *decryptor : inside);
  storage.read(path, {}, outside);
  outside.finish();
}

// The reasons of both in one Error, of the kind that tells most.
Error both_failed(const Error& main, const Error& copy) {
  if (main.kind() == ErrorKind::usage || main.kind() == ErrorKind::unsupported) return main;
  if (main.kind() == ErrorKind::not_found) {
    Error error(copy.kind(),
                fmt::format("{}, and its copy cannot be used: {}", main.what(), copy.what()));
    return error.with_hint(copy.hint());
  }
  Error error(main.kind(),
              fmt::format("{}; its copy cannot be used either: {}", main.what(), copy.what()));
  return error.with_hint(main.hint());
}

// What load(path) gives, or else load(path + ".copy"). Empty if neither file exists.
template <typename Load>
auto load_main_or_copy(const std::string& path, Load load) -> std::optional<decltype(load(path))> {
  const auto attempt = [&](const std::string& candidate,
                           std::optional<Error>& failure) -> std::optional<decltype(load(path))> {
    try {
      return load(candidate);
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::cancelled || error.kind() == ErrorKind::internal) throw;
      failure = error;
      return {};
    }
  };
  std::optional<Error> main_failure, copy_failure;
  if (auto loaded = attempt(path, main_failure)) return loaded;
  if (auto loaded = attempt(layout::copy_of(path), copy_failure)) return loaded;
  if (main_failure->kind() == ErrorKind::not_found && copy_failure->kind() == ErrorKind::not_found)
    return {};
  throw both_failed(*main_failure, *copy_failure);
}

// Why a stanza's info file is not there.
Error no_info_file(const storage::Storage& storage, const std::string& stanza,
                   const std::string& path) {
  const auto stanzas = Repository::list_stanzas(storage);
  if (stanzas.empty()) {
    return Error(ErrorKind::not_found,
                 fmt::format("there is no pgBackRest repository in {}", storage.describe("")))
        .with_hint(
            "check the repository path: the folders archive/ and backup/ lie directly in it");
  }
  if (std::ranges::find(stanzas, stanza) == stanzas.end()) {
    return Error(ErrorKind::not_found, fmt::format("stanza '{}' does not exist in {}",
                                                   printable(stanza), storage.describe("")))
        .with_hint(fmt::format("stanzas there: {}", fmt::join(stanzas, ", ")));
  }
  return Error(ErrorKind::not_found,
               fmt::format("{} does not exist, nor does its copy", storage.describe(path)))
      .with_hint(fmt::format(
          "stanza {} was not created completely, or its info files were lost; `pgbackrest "
          "stanza-create` on the source makes them",
          stanza));
}

}  // namespace

Repository::Repository(std::shared_ptr<const storage::Storage> storage, std::string stanza,
                       Secret passphrase)
    : storage_(std::move(storage)), stanza_(std::move(stanza)), passphrase_(std::move(passphrase)) {
  if (stanza_.empty() || stanza_ == "." || stanza_ == ".." ||
      stanza_.find_first_of(std::string_view("/\0", 2)) != std::string::npos) {
    throw Error(ErrorKind::usage, fmt::format("'{}' is not a stanza name", printable(stanza_)))
        .with_hint("a stanza is one folder below backup/ in the repository, for example main");
  }
}

BackupInfo Repository::load_backup_info() const {
  const std::string path = layout::backup_info(stanza_);
  auto loaded = load_main_or_copy(path, [&](const std::string& candidate) {
    BackupInfo info;
    const auto reader = make_backup_info_reader(storage_->describe(candidate), info);
    read_info_file(*storage_, candidate, users_key(passphrase_), *reader);
    return info;
  });
  if (!loaded) throw no_info_file(*storage_, stanza_, path);
  return std::move(*loaded);
}

ArchiveInfo Repository::load_archive_info() const {
  const std::string path = layout::archive_info(stanza_);
  auto loaded = load_main_or_copy(path, [&](const std::string& candidate) {
    ArchiveInfo info;
    const auto reader = make_archive_info_reader(storage_->describe(candidate), info);
    read_info_file(*storage_, candidate, users_key(passphrase_), *reader);
    return info;
  });
  if (!loaded) throw no_info_file(*storage_, stanza_, path);
  return std::move(*loaded);
}

void Repository::check_finished(const BackupInfo& info, std::string_view set) const {
  const auto label = BackupLabel::try_parse(set);
  if (!label || info.find(*label) != nullptr) return;
  // A backup writes the copy as it goes and the manifest itself at its very end.
  const std::string path = layout::manifest(stanza_, *label);
  if (storage_->stat(path) || !storage_->stat(layout::copy_of(path))) return;
  throw Error(ErrorKind::not_found, fmt::format("backup {} is not finished", label->text()))
      .with_hint("it is being made, or was interrupted; choose another backup");
}

Manifest Repository::load_manifest(const BackupInfo& info, const BackupLabel& label) const {
  check_finished(info, label.text());
  const std::string path = layout::manifest(stanza_, label);
  const Backup* const backup = info.find(label);

  if (backup == nullptr && !storage_->stat(path)) {
    std::vector<std::string_view> labels;
    for (const auto& each : info.backups) labels.push_back(each.label.text());
    throw Error(ErrorKind::not_found,
                fmt::format("stanza {} has no backup {}", stanza_, label.text()))
        .with_hint(labels.empty() ? std::string("it has no backups at all")
                                  : fmt::format("backups there: {}", fmt::join(labels, ", ")));
  }
  if (backup == nullptr) {
    throw Error(ErrorKind::not_found,
                fmt::format("backup {} is not listed in backup.info", label.text()))
        .with_hint("its files are there, but it is not finished or expired; choose another backup");
  }

  auto loaded = load_main_or_copy(path, [&](const std::string& candidate) {
    Manifest manifest;
    const auto reader = make_manifest_reader(storage_->describe(candidate), manifest);
    read_info_file(*storage_, candidate, manifest_key(info.manifest_passphrase), *reader);
    if (manifest.label != label) {
      throw Error(ErrorKind::corrupt,
                  fmt::format("{} is the manifest of backup {}", storage_->describe(candidate),
                              manifest.label.text()));
    }
    // Without the manifest itself its copy is all there is, and that may be one of the drafts which
    // a backup saves on its way. The last thing a backup learns is when it stopped.
    if (manifest.timestamp_stop != backup->timestamp_stop) {
      throw Error(ErrorKind::corrupt,
                  fmt::format("{} is not of the finished backup", storage_->describe(candidate)));
    }
    const auto* const database = info.database(backup->database_id);
    if (database->system_id != manifest.system_id || database->version != manifest.version) {
      throw Error(
          ErrorKind::corrupt,
          fmt::format("{} is of another cluster (system identifier {}, PostgreSQL {}) than "
                      "backup.info says ({}, {})",
                      storage_->describe(candidate), manifest.system_id, manifest.version.text(),
                      database->system_id, database->version.text()));
    }
    return manifest;
  });
  if (!loaded) {
    throw Error(ErrorKind::not_found, fmt::format("backup {} is listed in backup.info, but {} does "
                                                  "not exist",
                                                  label.text(), storage_->describe(path)))
        .with_hint("its files were removed by hand or by a lifecycle rule; choose another backup");
  }
  return std::move(*loaded);
}

std::vector<std::string> Repository::list_stanzas(const storage::Storage& storage) {
  std::set<std::string> names;
  for (const char* const root : {"archive", "backup"}) {
    for (const auto& entry : storage.list(root)) {
      if (entry.directory) names.insert(entry.name);
    }
  }
  return {names.begin(), names.end()};
}

}  // namespace pgrevive::repository
