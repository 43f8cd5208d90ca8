#include "codec/compress.h"

#include <algorithm>
#include <array>
#include <memory>
#include <vector>

#include <fmt/format.h>
#include <isa-l/igzip_lib.h>
#include <lz4frame.h>
#include <zstd.h>

#include "base/error.h"
#include "codec/bz2_decoder.h"

namespace pgrevive::codec {
namespace {

struct NameAndType {
  std::string_view name;
  CompressType type;
};
constexpr std::array kNames = {
    NameAndType{"none", CompressType::none}, NameAndType{"gz", CompressType::gz},
    NameAndType{"bz2", CompressType::bz2},   NameAndType{"lz4", CompressType::lz4},
    NameAndType{"zst", CompressType::zst},
};

// What is handed on at once. Large enough that the cost of a call is nothing, small enough that it
// is still in the cache of the core when the next stage reads it.
constexpr std::size_t kOutputSize = 256u << 10;

// The libraries count in 32 bits.
constexpr std::size_t kMostInput = std::size_t{1} << 30;

class PassThrough : public Sink {
 public:
  explicit PassThrough(Sink& next) : next_(next) {}
  void write(ByteView bytes) override { next_.write(bytes); }
  void finish() override { next_.finish(); }

 private:
  Sink& next_;
};

// Every codec is the same loop around one call of its library. A Decoder has
//   static constexpr std::string_view kName;
//   DecodeStep decode(ByteView input, std::span<std::byte> output);  // throws Error{corrupt}
// and takes input until there is none or the output is full.
template <typename Decoder>
class Decompressor : public Sink {
 public:
  template <typename... Arguments>
  explicit Decompressor(Sink& next, Arguments... arguments) : next_(next), decoder_(arguments...) {}

  void write(ByteView bytes) override {
    // A full buffer may hide more output of the same input, which is asked for with no input.
    bool filled = false;
    while (!bytes.empty() || filled) {
      if (state_ == State::ended && bytes.empty()) return;
      if (state_ != State::running) {
        state_ = State::failed;
        throw Error(ErrorKind::corrupt,
                    fmt::format("{} stream goes on after its end", Decoder::kName));
      }
      const ByteView input = bytes.first(std::min(bytes.size(), kMostInput));
      const auto room = used_ == 0 ? next_.room() : std::span<std::byte>{};
      const auto output = room.empty() ? own_room() : room;
      const DecodeStep step = decode(input, output);
      bytes = bytes.subspan(step.consumed);
      if (step.ended) state_ = State::ended;
      filled = step.produced == output.size();
      if (room.empty()) {
        used_ += step.produced;
        if (filled) hand_on();
      } else if (step.produced != 0) {
        next_.write(output.first(step.produced));
      }
    }
  }

  void finish() override {
    if (state_ != State::ended) {
      throw Error(ErrorKind::corrupt,
                  fmt::format("{} stream is {}", Decoder::kName,
                              state_ == State::failed ? "damaged" : "truncated"));
    }
    hand_on();
    next_.finish();
  }

 private:
  enum class State { running, ended, failed };

  std::span<std::byte> own_room() {
    if (!output_) output_ = std::make_unique_for_overwrite<std::byte[]>(kOutputSize);
    return {output_.get() + used_, kOutputSize - used_};
  }

  DecodeStep decode(ByteView input, std::span<std::byte> output) {
    try {
      const DecodeStep step = decoder_.decode(input, output);
      if (step.consumed == 0 && step.produced == 0 && !step.ended && !input.empty()) {
        throw Error(ErrorKind::corrupt, fmt::format("{} stream is damaged", Decoder::kName));
      }
      return step;
    } catch (const Error&) {
      state_ = State::failed;
      throw;
    }
  }

  void hand_on() {
    const ByteView ready(output_.get(), used_);
    used_ = 0;
    if (!ready.empty()) next_.write(ready);
  }

  Sink& next_;
  Decoder decoder_;
  State state_ = State::running;
  std::unique_ptr<std::byte[]> output_;
  std::size_t used_ = 0;
};

// Inflates with ISA-L, which is more than twice as fast as zlib. It checks the trailer of both
// wrappers, CRC-32 and length or Adler-32.
class GzDecoder {
 public:
  static constexpr std::string_view kName = "gz";

  explicit GzDecoder(Form form) : state_(std::make_unique_for_overwrite<inflate_state>()) {
    isal_inflate_init(state_.get());
    state_->crc_flag = form == Form::raw ? ISAL_ZLIB : ISAL_GZIP;
  }

  DecodeStep decode(ByteView input, std::span<std::byte> output) {
    state_->next_in = reinterpret_cast<std::uint8_t*>(const_cast<std::byte*>(input.data()));
    state_->avail_in = static_cast<std::uint32_t>(input.size());
    state_->next_out = reinterpret_cast<std::uint8_t*>(output.data());
    state_->avail_out = static_cast<std::uint32_t>(output.size());
    int result = ISAL_DECOMP_OK;
    if (!header_read_) result = read_header();
    if (result == ISAL_DECOMP_OK && header_read_) result = isal_inflate(state_.get());
    if (result < 0 || result == ISAL_NEED_DICT) throw_damaged(kName, reason(result));

    const bool ended = state_->block_state == ISAL_BLOCK_FINISH;
    // The decoder reads ahead of the bits it uses, and what lies behind the trailer of a zlib
    // wrapper can already be in there.
    if (ended && state_->read_in_length >= 8) throw_damaged(kName, "it goes on after its end");
    return {.consumed = input.size() - state_->avail_in,
            .produced = output.size() - state_->avail_out,
            .ended = ended};
  }

 private:
  // isal_inflate would read the header, too, but forgets between two calls which optional parts it
  // has, so a header that arrives in pieces would be misread.
  int read_header() {
    const bool zlib = state_->crc_flag == ISAL_ZLIB;
    const int result = zlib ? isal_read_zlib_header(state_.get(), &zlib_header_)
                            : isal_read_gzip_header(state_.get(), &gzip_header_);
    header_read_ = result == ISAL_DECOMP_OK;
    return header_read_ && zlib_header_.dict_flag != 0 ? ISAL_NEED_DICT : result;
  }

  static std::string_view reason(int result) {
    switch (result) {
      case ISAL_INVALID_BLOCK:
        return "invalid block";
      case ISAL_INVALID_SYMBOL:
        return "invalid symbol";
      case ISAL_INVALID_LOOKBACK:
        return "invalid distance";
      case ISAL_INVALID_WRAPPER:
        return "invalid header";
      case ISAL_UNSUPPORTED_METHOD:
        return "unknown method";
      case ISAL_INCORRECT_CHECKSUM:
        return "its checksum does not match";
      case ISAL_NEED_DICT:
        return "it needs a dictionary";
      default:
        return "unknown reason";
    }
  }

  std::unique_ptr<inflate_state> state_;
  isal_gzip_header gzip_header_{};
  isal_zlib_header zlib_header_{};
  bool header_read_ = false;
};

class Lz4Decoder {
 public:
  static constexpr std::string_view kName = "lz4";

  explicit Lz4Decoder(Checksums checksums) {
    if (LZ4F_isError(LZ4F_createDecompressionContext(&context_, LZ4F_VERSION)) != 0) {
      throw std::bad_alloc();
    }
    options_.skipChecksums = checksums == Checksums::skipped ? 1 : 0;
  }
  Lz4Decoder(const Lz4Decoder&) = delete;
  Lz4Decoder& operator=(const Lz4Decoder&) = delete;
  ~Lz4Decoder() { LZ4F_freeDecompressionContext(context_); }

  DecodeStep decode(ByteView input, std::span<std::byte> output) {
    std::size_t consumed = input.size();
    std::size_t produced = output.size();
    const std::size_t result =
        LZ4F_decompress(context_, output.data(), &produced, input.data(), &consumed, &options_);
    if (LZ4F_isError(result) != 0) throw_damaged(kName, LZ4F_getErrorName(result));
    return {.consumed = consumed, .produced = produced, .ended = result == 0};
  }

 private:
  LZ4F_dctx* context_ = nullptr;
  LZ4F_decompressOptions_t options_{};
};

// More than half of what a small file costs is the making of a context (it asks the processor what
// it can, which a virtual one has to ask its host), so each thread keeps those it had for the next
// files.
class ZstDecoder {
 public:
  static constexpr std::string_view kName = "zst";

  ZstDecoder() {
    if (auto& contexts = kept(); !contexts.empty()) {
      context_ = std::move(contexts.back());
      contexts.pop_back();
      return;
    }
    context_.reset(ZSTD_createDCtx());
    if (!context_) throw std::bad_alloc();
    // 128 MiB, the largest window that pgBackRest's highest level makes. A header may claim 2 GiB.
    ZSTD_DCtx_setParameter(context_.get(), ZSTD_d_windowLogMax, 27);
  }
  ZstDecoder(const ZstDecoder&) = delete;
  ZstDecoder& operator=(const ZstDecoder&) = delete;
  ~ZstDecoder() {
    auto& contexts = kept();
    if (contexts.size() == kMostKept || ZSTD_sizeof_DCtx(context_.get()) > kLargestKept) return;
    ZSTD_DCtx_reset(context_.get(), ZSTD_reset_session_only);
    contexts.push_back(std::move(context_));
  }

  DecodeStep decode(ByteView input, std::span<std::byte> output) {
    ZSTD_inBuffer in{.src = input.data(), .size = input.size(), .pos = 0};
    ZSTD_outBuffer out{.dst = output.data(), .size = output.size(), .pos = 0};
    const std::size_t result = ZSTD_decompressStream(context_.get(), &out, &in);
    if (ZSTD_isError(result) != 0) throw_damaged(kName, ZSTD_getErrorName(result));
    return {.consumed = in.pos, .produced = out.pos, .ended = result == 0};
  }

 private:
  struct Free {
    void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
  };
  using Context = std::unique_ptr<ZSTD_DCtx, Free>;

  // As many as a restore's worker has files on their way, and with the windows of the levels that
  // people use (2 MiB at pgBackRest's default), which even the smallest file asks for.
  static constexpr std::size_t kMostKept = 16;
  static constexpr std::size_t kLargestKept = 3u << 20;
  static std::vector<Context>& kept() {
    thread_local std::vector<Context> contexts = [] {
      std::vector<Context> none;
      none.reserve(kMostKept);  // so that nothing can be thrown where they are given back
      return none;
    }();
    return contexts;
  }

  Context context_;
};

}  // namespace

std::optional<CompressType> parse_compress_type(std::string_view name) {
  for (const auto& known : kNames) {
    if (known.name == name) return known.type;
  }
  return {};
}

std::string_view name(CompressType type) {
  for (const auto& known : kNames) {
    if (known.type == type) return known.name;
  }
  throw Error(ErrorKind::internal, "a compress type without a name");
}

std::string_view extension(CompressType type) {
  switch (type) {
    case CompressType::none:
      return "";
    case CompressType::gz:
      return ".gz";
    case CompressType::bz2:
      return ".bz2";
    case CompressType::lz4:
      return ".lz4";
    case CompressType::zst:
      return ".zst";
  }
  throw Error(ErrorKind::internal, "a compress type without an extension");
}

CompressType type_of_extension(std::string_view file_name) {
  for (const auto& known : kNames) {
    if (known.type != CompressType::none && file_name.ends_with(extension(known.type))) {
      return known.type;
    }
  }
  return CompressType::none;
}

std::unique_ptr<Sink> make_decompressor(CompressType type, Form form, Sink& next,
                                        Checksums checksums) {
  switch (type) {
    case CompressType::none:
      return std::make_unique<PassThrough>(next);
    case CompressType::gz:
      return std::make_unique<Decompressor<GzDecoder>>(next, form);
    case CompressType::bz2:
      return std::make_unique<Decompressor<Bz2Decoder>>(next);
    case CompressType::lz4:
      return std::make_unique<Decompressor<Lz4Decoder>>(next, checksums);
    case CompressType::zst:
      return std::make_unique<Decompressor<ZstDecoder>>(next);
  }
  throw Error(ErrorKind::internal, "a compress type without a decompressor");
}

}  // namespace pgrevive::codec
