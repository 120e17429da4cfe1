// Runs every test, or those whose name contains the first argument.
#include <cstring>

#include "check.hpp"

int main(int argc, char** argv) {
  using namespace geodet::test;
  int run = 0;
  for (const Case& test : cases()) {
    if (argc > 1 && std::strstr(test.name, argv[1]) == nullptr) continue;
    const int before = failures();
    test.run();
    ++run;
    std::printf("%s %s\n", failures() == before ? "ok    " : "FAILED", test.name);
  }
  std::printf("%d tests, %d failed checks\n", run, failures());
  return failures() == 0 && run > 0 ? 0 : 1;
}
