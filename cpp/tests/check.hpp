// The whole test framework: named functions, checks that print and count, one main.
#pragma once

#include <cstdio>
#include <type_traits>
#include <vector>

namespace geodet::test {

struct Case {
  const char* name;
  void (*run)();
};

inline std::vector<Case>& cases() {
  static std::vector<Case> all;
  return all;
}

struct Registration {
  Registration(const char* name, void (*run)()) { cases().push_back({name, run}); }
};

inline int& failures() {
  static int count = 0;
  return count;
}

inline void expect(bool holds, const char* what, const char* file, int line) {
  if (holds) return;
  ++failures();
  std::fprintf(stderr, "%s:%d: expected %s\n", file, line, what);
}

}  // namespace geodet::test

#define GEODET_TEST(name)                                                        \
  static void name();                                                            \
  static const ::geodet::test::Registration registration_of_##name{#name, name}; \
  static void name()

#define GEODET_EXPECT(...) ::geodet::test::expect((__VA_ARGS__), #__VA_ARGS__, __FILE__, __LINE__)
