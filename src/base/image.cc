#include "base/image.h"

#include <cstdlib>

namespace pgrevive {

bool in_our_image() {
  const char* value = std::getenv("PGREVIVE_ENVIRONMENT");
  return value != nullptr && *value != '\0';
}

}  // namespace pgrevive
