#include "repository/manifest.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <limits>
#include <map>
#include <tuple>
#include <unordered_map>
#include <unordered_set>

#include <fmt/format.h>

#include "base/error.h"
#include "base/text.h"
#include "repository/info_file.h"
#include "repository/json_text.h"
#include "repository/manifest_name.h"
#include "repository/manifest_nesting.h"

namespace pgrevive::repository {

// Texts, put end to end into large chunks that never move and are never freed singly.
struct Manifest::Arena {
  static constexpr std::size_t kChunk = 256u << 10;

  std::string_view copy(std::string_view text) {
    if (text.empty()) return {};
    if (text.size() > free) {
      const std::size_t size = std::max(kChunk, text.size());
      chunks.push_back(std::make_unique_for_overwrite<char[]>(size));
      total += size;
      at = chunks.back().get();
      free = size;
    }
    char* const begin = at;
    std::memcpy(begin, text.data(), text.size());
    at += text.size();
    free -= text.size();
    return {begin, text.size()};
  }

  std::string_view copy_once(std::string_view text) {
    // Files come in runs of one owner.
    if (text == last_once) return last_once;
    const auto found = once.find(text);
    last_once = found != once.end() ? *found : *once.insert(copy(text)).first;
    return last_once;
  }

  std::vector<std::unique_ptr<char[]>> chunks;
  std::uint64_t total = 0;  // bytes of all chunks
  char* at = nullptr;
  std::size_t free = 0;
  std::unordered_set<std::string_view> once;
  std::string_view last_once;
};

Manifest::Manifest() : arena_(std::make_unique<Arena>()) {}
Manifest::Manifest(Manifest&&) noexcept = default;
Manifest& Manifest::operator=(Manifest&&) noexcept = default;
Manifest::~Manifest() = default;

std::string_view Manifest::keep(std::string_view text) { return arena_->copy(text); }
std::string_view Manifest::keep_once(std::string_view text) { return arena_->copy_once(text); }

std::uint64_t Manifest::memory() const {
  return arena_->total + files.size() * sizeof(ManifestFile) + paths.size() * sizeof(ManifestPath) +
         links.size() * sizeof(ManifestLink);
}

const ManifestTarget& Manifest::data_directory() const {
  const auto found = std::ranges::find(targets, "pg_data", &ManifestTarget::name);
  if (found == targets.end())
    throw Error(ErrorKind::internal, "a manifest without pg_data was let through");
  return *found;
}

namespace {

static_assert(sizeof(ManifestFile) <= 104, "manifest.h says so, and there are millions of them");

constexpr std::uint32_t kBlockSizeUnit = 8192;
constexpr std::uint32_t kMaxBlockSize = 64u << 20;
constexpr std::uint8_t kDefaultBlockChecksumSize = 6;
constexpr std::uint32_t kMaxBlockChecksumSize = 16;  // all of XXH3-128

// More than any compression, cipher and block map add to a file, which is below a tenth. A size
// beyond it is a lie that would cost memory and requests before it shows.
bool can_be_stored_size(std::uint64_t stored, std::uint64_t size) {
  return stored / 2 <= size + (32u << 10);
}

// For each block a checksum and, where every one has a super block and a group of its own, eight
// numbers of ten bytes; and what a cipher adds.
std::uint64_t largest_block_map(const ManifestFile& file) {
  return 64 + (file.size / file.block_size + 1) * (8 * 10 + kMaxBlockChecksumSize);
}

// Marks of what an entry leaves to the default section, until that section, which comes later in
// the file, is known. An owner that is known to be unknown is an empty view that is not null.
constexpr std::uint16_t kModeMissing = 0xFFFF;
constexpr std::uint32_t kOwnReference = std::numeric_limits<std::uint32_t>::max();
constexpr std::string_view kUnknown{"", 0};

bool is_missing(std::string_view owner) { return owner.data() == nullptr; }

struct Defaults {
  Owner owner;
  std::uint16_t mode = kModeMissing;
};

[[noreturn]] void refuse(const std::string& problem) { throw Error(ErrorKind::corrupt, problem); }

std::uint16_t parse_mode(std::string_view text) {
  unsigned mode = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), mode, 8);
  if (error != std::errc() || end != text.data() + text.size() || mode > 07777)
    refuse(fmt::format("'{}' is not a file mode", printable(text)));
  return static_cast<std::uint16_t>(mode);
}

class ManifestReader : public Sink {
 public:
  ManifestReader(std::string name, Manifest& into)
      : name_(name),
        into_(into),
        text_(std::move(name),
              [this](auto section, auto key, auto value) { take(section, key, value); }) {}

  void write(ByteView bytes) override { text_.write(bytes); }

  void finish() override {
    text_.finish();
    check_required();
    resolve_references();
    resolve_defaults();
    order("file", into_.files);
    order("path", into_.paths);
    order("link", into_.links);
    check_targets();
    check_nesting(name_, into_);
  }

 private:
  using TakeEntry = void (ManifestReader::*)(std::string_view, std::string_view);

  void take(std::string_view section, std::string_view key, std::string_view value) {
    // Entries of one section come together and by the million; its name is looked up once.
    if (section != section_) {
      section_ = section;
      take_ = find_taker(section);
    }
    if (take_ != nullptr) (this->*take_)(key, value);
  }

  static TakeEntry find_taker(std::string_view section) {
    if (section == "backup") return &ManifestReader::take_backup;
    if (section == "backup:db") return &ManifestReader::take_backup_db;
    if (section == "backup:option") return &ManifestReader::take_option;
    if (section == "backup:target") return &ManifestReader::take_target;
    if (section == "cipher") return &ManifestReader::take_cipher;
    if (section == "db") return &ManifestReader::take_database;
    if (section == "target:file") return &ManifestReader::take_file;
    if (section == "target:file:default") return &ManifestReader::take_file_default;
    if (section == "target:link") return &ManifestReader::take_link;
    if (section == "target:link:default") return &ManifestReader::take_link_default;
    if (section == "target:path") return &ManifestReader::take_path;
    if (section == "target:path:default") return &ManifestReader::take_path_default;
    return nullptr;
  }

  void take_backup(std::string_view key, std::string_view value) {
    JsonReader json(value);
    if (json.take_null()) return;
    if (key == "backup-archive-start") {
      into_.archive_start = std::string(json.string());
    } else if (key == "backup-archive-stop") {
      into_.archive_stop = std::string(json.string());
    } else if (key == "backup-bundle-raw") {
      into_.bundle_raw = json.boolean();
    } else if (key == "backup-label") {
      label_ = BackupLabel::parse(json.string());
    } else if (key == "backup-lsn-start") {
      into_.lsn_start = postgres::Lsn::parse(json.string());
    } else if (key == "backup-lsn-stop") {
      into_.lsn_stop = postgres::Lsn::parse(json.string());
    } else if (key == "backup-reference") {
      for (const auto& label : split(json.string(), ','))
        into_.references.push_back(BackupLabel::parse(label));
    } else if (key == "backup-timestamp-copy-start") {
      into_.timestamp_copy_start = json.unix_time();
    } else if (key == "backup-timestamp-start") {
      into_.timestamp_start = json.unix_time();
    } else if (key == "backup-timestamp-stop") {
      into_.timestamp_stop = json.unix_time();
    }
  }

  void take_backup_db(std::string_view key, std::string_view value) {
    JsonReader json(value);
    if (key == "db-catalog-version") {
      into_.catalog_version = json.small_number();
    } else if (key == "db-control-version") {
      into_.control_version = json.small_number();
    } else if (key == "db-id") {
      into_.database_id = json.small_number();
    } else if (key == "db-system-id") {
      into_.system_id = json.unsigned_number();
    } else if (key == "db-version") {
      into_.version = postgres::Version::parse(json.string());
    }
  }

  void take_option(std::string_view key, std::string_view value) {
    JsonReader json(value);
    if (key == "option-compress") {
      compress_ = json.boolean();
    } else if (key == "option-compress-type") {
      const std::string_view text = json.string();
      compress_type_ = codec::parse_compress_type(text);
      if (!compress_type_) {
        throw Error(ErrorKind::unsupported,
                    fmt::format("compression '{}' is not known", printable(text)));
      }
    } else if (key == "option-online") {
      into_.online = json.boolean();
    }
  }

  void take_target(std::string_view key, std::string_view value) {
    check_name(key, EntryKind::path);
    ManifestTarget target{.name = into_.keep(key)};
    std::optional<std::uint32_t> tablespace_id;
    JsonReader json(value);
    json.object([&](std::string_view member) {
      if (member == "path") {
        target.path = keep_path(json.string());
      } else if (member == "file") {
        const std::string_view file = json.string();
        if (!is_plain_path(file) || file.find('/') != std::string_view::npos)
          refuse("the linked file's name is not a plain name");
        target.file = into_.keep(file);
      } else if (member == "type") {
        const std::string_view type = json.string();
        if (type != "path" && type != "link") refuse("the type is neither path nor link");
        target.is_link = type == "link";
      } else if (member == "tablespace-id") {
        tablespace_id = parse_oid(json.string());
        if (!tablespace_id) refuse("the tablespace id is not an object id");
      } else if (member == "tablespace-name") {
        target.tablespace_name = into_.keep(json.string());
      } else {
        json.skip();
      }
    });
    if (target.path.empty()) refuse("the path is missing");
    const auto oid = tablespace_of(key);
    if (oid != tablespace_id ||
        (!oid && key.substr(0, kTablespacesName.size()) == kTablespacesName))
      refuse("the tablespace id is not the one in the name");
    target.tablespace_oid = oid.value_or(0);
    into_.targets.push_back(target);
  }

  void take_cipher(std::string_view key, std::string_view value) {
    if (key == "cipher-pass")
      into_.data_passphrase = Secret(std::string(JsonReader(value).string()));
  }

  void take_database(std::string_view key, std::string_view value) {
    ManifestDatabase database{.name = into_.keep(key)};
    JsonReader json(value);
    json.object([&](std::string_view member) {
      if (member == "db-id") {
        database.oid = json.small_number();
      } else {
        json.skip();
      }
    });
    into_.databases.push_back(database);
  }

  void take_file(std::string_view key, std::string_view value) {
    check_name(key, EntryKind::file);
    ManifestFile file;
    Owner owner;
    file.mode = kModeMissing;
    file.reference = kOwnReference;
    file.block_checksum_size = kDefaultBlockChecksumSize;
    bool size_seen = false;
    bool repo_size_seen = false;
    bool timestamp_seen = false;
    bool checksum_seen = false;
    JsonReader json(value);
    json.object([&](std::string_view member) {
      if (member == "bi") {
        const std::uint64_t units = json.unsigned_number();
        if (units == 0 || units > kMaxBlockSize / kBlockSizeUnit)
          refuse("the block size is out of range");
        file.block_size = static_cast<std::uint32_t>(units * kBlockSizeUnit);
      } else if (member == "bic") {
        const std::uint32_t size = json.small_number();
        if (size == 0 || size > kMaxBlockChecksumSize)
          refuse("the size of block checksums is out of range");
        file.block_checksum_size = static_cast<std::uint8_t>(size);
      } else if (member == "bim") {
        file.block_map_size = json.size_number();
      } else if (member == "bni") {
        file.bundle_id = json.size_number();
      } else if (member == "bno") {
        file.bundle_offset = json.size_number();
      } else if (member == "checksum") {
        file.checksum = codec::Sha1::parse(json.string());
        checksum_seen = true;
      } else if (member == "checksum-page") {
        file.page_checksums_ok = json.boolean();
      } else if (member == "group") {
        owner.group = take_owner(json);
      } else if (member == "mode") {
        file.mode = parse_mode(json.string());
      } else if (member == "reference") {
        file.reference = seen_reference(json.string());
      } else if (member == "repo-size") {
        file.repo_size = json.size_number();
        repo_size_seen = true;
      } else if (member == "size") {
        file.size = json.size_number();
        size_seen = true;
      } else if (member == "timestamp") {
        file.timestamp = json.signed_number();
        timestamp_seen = true;
      } else if (member == "user") {
        owner.user = take_owner(json);
      } else {
        json.skip();
      }
    });
    if (!size_seen) refuse("the size is missing");
    if (!timestamp_seen) refuse("the timestamp is missing");
    if (!repo_size_seen) file.repo_size = file.size;
    if (file.size == 0) {
      file.checksum = codec::kSha1OfNothing;
    } else if (!checksum_seen) {
      refuse("the checksum is missing");
    }
    constexpr auto kMaxSize = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    if (file.repo_size > kMaxSize - file.bundle_offset)
      refuse("the place in the bundle is out of range");
    if (!can_be_stored_size(file.repo_size, file.size))
      refuse("the stored size is larger than that of such a file can be");
    if (file.block_map_size != 0) {
      if (file.block_size == 0) refuse("there is a block map and no block size");
      if (file.block_map_size > file.repo_size)
        refuse("the block map is larger than the stored file");
      if (file.block_map_size > largest_block_map(file))
        refuse("the block map is larger than that of such a file can be");
    }
    file.owner = index_of(EntryKind::file, owner);
    file.name = into_.keep(key);
    into_.files.push_back(file);
  }

  void take_path(std::string_view key, std::string_view value) {
    check_name(key, EntryKind::path);
    ManifestPath path;
    Owner owner;
    path.mode = kModeMissing;
    JsonReader json(value);
    json.object([&](std::string_view member) {
      if (member == "group") {
        owner.group = take_owner(json);
      } else if (member == "mode") {
        path.mode = parse_mode(json.string());
      } else if (member == "user") {
        owner.user = take_owner(json);
      } else {
        json.skip();
      }
    });
    path.owner = index_of(EntryKind::path, owner);
    path.name = into_.keep(key);
    into_.paths.push_back(path);
  }

  void take_link(std::string_view key, std::string_view value) {
    check_name(key, EntryKind::link);
    ManifestLink link;
    Owner owner;
    JsonReader json(value);
    json.object([&](std::string_view member) {
      if (member == "destination") {
        link.destination = keep_path(json.string());
      } else if (member == "group") {
        owner.group = take_owner(json);
      } else if (member == "user") {
        owner.user = take_owner(json);
      } else {
        json.skip();
      }
    });
    if (link.destination.empty()) refuse("the destination is missing");
    link.owner = index_of(EntryKind::link, owner);
    link.name = into_.keep(key);
    into_.links.push_back(link);
  }

  void take_file_default(std::string_view key, std::string_view value) {
    take_default(EntryKind::file, key, value);
  }
  void take_link_default(std::string_view key, std::string_view value) {
    take_default(EntryKind::link, key, value);
  }
  void take_path_default(std::string_view key, std::string_view value) {
    take_default(EntryKind::path, key, value);
  }

  void take_default(EntryKind kind, std::string_view key, std::string_view value) {
    Defaults& defaults = defaults_of(kind);
    JsonReader json(value);
    if (key == "group") {
      defaults.owner.group = take_owner(json);
    } else if (key == "mode") {
      defaults.mode = parse_mode(json.string());
    } else if (key == "user") {
      defaults.owner.user = take_owner(json);
    }
  }

  Defaults& defaults_of(EntryKind kind) { return defaults_[static_cast<std::size_t>(kind)]; }

  std::string_view take_owner(JsonReader& json) {
    if (json.take_false()) return kUnknown;
    const std::string_view owner = json.string();
    if (owner.empty()) return kUnknown;
    return into_.keep_once(owner);
  }

  // The index in Manifest::owners. An owner of which something is missing has one for each kind of
  // entry, because the default sections differ.
  std::uint32_t index_of(EntryKind kind, const Owner& owner) {
    // Equal names are kept once, so their addresses tell them apart.
    const SeenOwner seen{kind, owner.user.data(), owner.group.data()};
    if (last_owner_ != owners_.end() && last_owner_->first == seen) return last_owner_->second;
    bool first = false;
    std::tie(last_owner_, first) =
        owners_.emplace(seen, static_cast<std::uint32_t>(into_.owners.size()));
    if (first) into_.owners.push_back(owner);
    return last_owner_->second;
  }

  // Where something was on the source.
  std::string_view keep_path(std::string_view path) {
    if (path.empty() || path.find('\0') != std::string_view::npos) refuse("the path is not a path");
    return into_.keep(path);
  }

  // The index in seen_references_, which resolve_references() turns into one of the manifest's.
  std::uint32_t seen_reference(std::string_view text) {
    if (last_reference_ < seen_references_.size() &&
        seen_references_[last_reference_].text() == text)
      return last_reference_;
    const auto found = seen_index_.find(text);
    if (found != seen_index_.end()) return last_reference_ = found->second;
    last_reference_ = static_cast<std::uint32_t>(seen_references_.size());
    seen_references_.push_back(BackupLabel::parse(text));
    seen_index_.emplace(into_.keep(text), last_reference_);
    return last_reference_;
  }

  void check_required() {
    const auto missing = [&](std::string_view what) {
      refuse(fmt::format("{} does not say {}", name_, what));
    };
    if (!label_) missing("which backup it is of");
    into_.label = *label_;
    if (into_.version == postgres::Version()) missing("the PostgreSQL version");
    if (into_.system_id == 0) missing("the system identifier");
    if (std::ranges::find(into_.targets, kDataName, &ManifestTarget::name) == into_.targets.end())
      missing("where PGDATA was");
    if (into_.files.empty()) refuse(fmt::format("{} lists no files", name_));
    // Before there were other types, "compress" meant gz.
    into_.compress_type =
        compress_type_.value_or(compress_ ? codec::CompressType::gz : codec::CompressType::none);
  }

  void resolve_references() {
    // Manifests made before 2.42 have no list; what the files name, in order of appearance, is what
    // later versions take for it. (Nothing but block maps needs the order, and they came later.)
    if (into_.references.empty()) {
      for (const auto& label : seen_references_) {
        if (label != into_.label) into_.references.push_back(label);
      }
      into_.references.push_back(into_.label);
    }
    if (into_.references.back() != into_.label) {
      refuse(fmt::format("{}: the list of references does not end in {} itself", name_,
                         into_.label.text()));
    }
    for (const auto& label : into_.references) {
      // Nothing can need what was made after it, nor what rests on another full backup.
      const bool later = into_.label.type() == BackupType::full && label != into_.label;
      if (later || label.full() != into_.label.full()) {
        refuse(fmt::format("{}: backup {} cannot refer to backup {}", name_, into_.label.text(),
                           label.text()));
      }
    }
    const auto own = static_cast<std::uint32_t>(into_.references.size() - 1);
    std::vector<std::uint32_t> index_of_seen;
    for (const auto& label : seen_references_) {
      const auto found = std::ranges::find(into_.references, label);
      index_of_seen.push_back(found == into_.references.end()
                                  ? kOwnReference
                                  : static_cast<std::uint32_t>(found - into_.references.begin()));
    }
    for (auto& file : into_.files) {
      if (file.reference == kOwnReference) {
        file.reference = own;
        continue;
      }
      const auto& label = seen_references_[file.reference];
      file.reference = index_of_seen[file.reference];
      if (file.reference == kOwnReference) {
        refuse(
            fmt::format("{}: file {} refers to backup {}, which is not in the list of references",
                        name_, printable(file.name), label.text()));
      }
    }
  }

  void resolve_defaults() {
    for (const auto& [seen, index] : owners_) {
      const Owner& defaults = defaults_of(std::get<EntryKind>(seen)).owner;
      Owner& owner = into_.owners[index];
      if (is_missing(owner.user)) owner.user = defaults.user;
      if (is_missing(owner.group)) owner.group = defaults.group;
    }
    const auto resolve_modes = [&](auto& entries, EntryKind kind) {
      const auto mode = defaults_of(kind).mode;
      for (auto& entry : entries) {
        if (entry.mode != kModeMissing) continue;
        if (mode == kModeMissing) {
          refuse(fmt::format("{}: {} has no mode, and there is no default", name_,
                             printable(entry.name)));
        }
        entry.mode = mode;
      }
    };
    resolve_modes(into_.files, EntryKind::file);
    resolve_modes(into_.paths, EntryKind::path);
    // No file of a cluster runs as somebody else, whatever a manifest says.
    for (auto& file : into_.files) file.mode &= 0777;
  }

  void order(std::string_view what, auto& items) {
    constexpr auto name = [](const auto& item) { return item.name; };
    // pgBackRest writes them in this order, so sorting is for what somebody else wrote.
    if (!std::ranges::is_sorted(items, {}, name)) std::ranges::sort(items, {}, name);
    const auto twice = std::ranges::adjacent_find(items, {}, name);
    if (twice != items.end())
      refuse(fmt::format("{}: {} {} is listed twice", name_, what, printable(twice->name)));
  }

  void check_targets() {
    std::unordered_set<std::uint32_t> tablespaces;
    std::unordered_set<std::string_view> names;
    for (const auto& target : into_.targets) {
      if (!names.insert(target.name).second)
        refuse(fmt::format("{}: target {} is listed twice", name_, printable(target.name)));
      if (target.tablespace_oid != 0) tablespaces.insert(target.tablespace_oid);
    }
    const auto check = [&](const auto& items) {
      for (const auto& item : items) {
        const auto oid = tablespace_of(item.name);
        if (oid && !tablespaces.contains(*oid)) {
          refuse(fmt::format("{}: {} lies in a tablespace that is not in the list of targets",
                             name_, printable(item.name)));
        }
      }
    };
    check(into_.files);
    check(into_.paths);
  }

  std::string name_;
  Manifest& into_;
  std::string section_;
  TakeEntry take_ = nullptr;
  std::optional<BackupLabel> label_;
  std::optional<codec::CompressType> compress_type_;
  bool compress_ = false;
  std::array<Defaults, 3> defaults_;  // by EntryKind
  using SeenOwner = std::tuple<EntryKind, const char*, const char*>;
  std::map<SeenOwner, std::uint32_t> owners_;
  std::map<SeenOwner, std::uint32_t>::iterator last_owner_ = owners_.end();
  std::vector<BackupLabel> seen_references_;
  std::unordered_map<std::string_view, std::uint32_t> seen_index_;
  std::uint32_t last_reference_ = kOwnReference;
  InfoFileReader text_;
};

}  // namespace

std::unique_ptr<Sink> make_manifest_reader(std::string name, Manifest& into) {
  return std::make_unique<ManifestReader>(std::move(name), into);
}

}  // namespace pgrevive::repository
