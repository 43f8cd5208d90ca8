#include "cluster/locales.h"

#include <algorithm>
#include <clocale>
#include <string_view>

#include "base/image.h"

namespace pgrevive::cluster {
namespace {

constexpr std::string_view kLetters =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

// "UTF-8" of "utf8": locale.gen wants the name of the character map.
std::string character_map(const std::string& codeset) {
  std::string plain;
  for (const char c : codeset)
    if (kLetters.find(c) != std::string_view::npos)
      plain += static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  return plain == "utf8" ? "UTF-8" : codeset;
}

}  // namespace

std::string line_of_locale_gen(const std::string& name) {
  const auto dot = name.find('.');
  if (dot == std::string::npos || name.find(' ') != std::string::npos) return {};
  const auto at = std::min(name.find('@', dot), name.size());
  const auto map = character_map(name.substr(dot + 1, at - dot - 1));
  return name.substr(0, dot) + "." + map + name.substr(at) + " " + map;
}

bool host_has_locale(const std::string& name) {
  if (name.empty()) return true;
  // What setlocale() of the server will say, without changing anything of this process.
  const auto locale = ::newlocale(LC_ALL_MASK, name.c_str(), nullptr);
  if (locale == nullptr) return false;
  ::freelocale(locale);
  return true;
}

std::string how_to_install_locale(const std::string& name) {
  if (in_our_image())
    return "add the locale " + name +
           " to those of DOCKER_LOCALES (docker/README.md) and build the image anew (docker "
           "compose "
           "build postgres-cluster-restore)";
  const auto line = line_of_locale_gen(name);
  std::string text = "install the locale " + name;
  if (!line.empty())
    text += " (Debian: package locales, the line '" + line + "' in /etc/locale.gen, locale-gen)";
  return text;
}

std::string locale_remedy(const std::string& name) {
  return how_to_install_locale(name) + ", then restart the cluster";
}

std::optional<std::string> refused_for_locale(const std::string& message) {
  // Translations keep the names of the function and of the category, and quote as they like.
  if (message.find("setlocale()") == std::string::npos) return {};
  for (const std::string_view category : {"LC_COLLATE", "LC_CTYPE"}) {
    const auto found = message.find(category);
    if (found == std::string::npos) continue;
    const auto begin = message.find_first_of(kLetters, found + category.size());
    if (begin == std::string::npos) continue;
    const std::string allowed = std::string(kLetters) + "_.@-";
    const auto end = std::min(message.find_first_not_of(allowed, begin), message.size());
    return message.substr(begin, end - begin);
  }
  return {};
}

bool orders_by_bytes(const std::string& locale) {
  const auto base = locale.substr(0, locale.find('.'));
  return base == "C" || locale == "POSIX";
}

}  // namespace pgrevive::cluster
