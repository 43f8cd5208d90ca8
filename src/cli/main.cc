#include "base/private_memory.h"
#include "cli/app.h"

int main(int argc, char** argv) {
  pgrevive::keep_memory_private();
  return pgrevive::cli::run(std::vector<std::string>(argv + (argc > 0 ? 1 : 0), argv + argc));
}
