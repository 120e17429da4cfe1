// Stands in for libFuzzer where the compiler has none: mutates inputs, keeps those that reach new
// code, and writes the input that ends the process. Takes libFuzzer's own options, as far as they
// go: -max_total_time=SECONDS -runs=N -seed=N -max_len=BYTES, then files to start from (or, with
// -runs=0, to run once).
#include <sanitizer/common_interface_defs.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

using Bytes = std::vector<std::uint8_t>;

constexpr std::size_t kEdges = 1 << 16;
constexpr unsigned kSecondsAnInput = 20;

std::array<std::uint8_t, kEdges> hits;  // of the input that runs
std::array<std::uint8_t, kEdges> seen;  // kinds of hit counts met so far, one bit each
std::uintptr_t previous_place = 0;
Bytes current;

// Leaves the input behind when a sanitizer, an abort or the clock ends the process.
void write_current() {
  char name[64];
  std::snprintf(name, sizeof(name), "crash-%lld", static_cast<long long>(getpid()));
  if (FILE* file = std::fopen(name, "wb")) {
    std::fwrite(current.data(), 1, current.size(), file);
    std::fclose(file);
  }
  std::fprintf(stderr, "%zu bytes written to %s\n", current.size(), name);
}

void on_signal(int number) {
  std::fprintf(stderr, number == SIGALRM ? "an input took too long\n" : "a claim is broken\n");
  write_current();
  _exit(77);
}

// 1, 2, 3, 4-7, 8-15 ... hits of an edge are different kinds, as in AFL.
std::uint8_t kind_of(std::uint8_t count) {
  if (count < 4) return static_cast<std::uint8_t>(1u << count >> 1);
  std::uint8_t kind = 8;
  for (count /= 8; count > 0 && kind < 128; count /= 2) kind = static_cast<std::uint8_t>(kind * 2);
  return kind;
}

// Whether the last run went where none went before.
bool is_new() {
  bool fresh = false;
  for (std::size_t k = 0; k < kEdges; ++k) {
    if (hits[k] == 0) continue;
    const std::uint8_t kind = kind_of(hits[k]);
    if ((seen[k] & kind) == 0) {
      seen[k] = static_cast<std::uint8_t>(seen[k] | kind);
      fresh = true;
    }
  }
  return fresh;
}

bool run(const Bytes& input) {
  current = input;
  hits.fill(0);
  previous_place = 0;
  alarm(kSecondsAnInput);
  LLVMFuzzerTestOneInput(current.data(), current.size());
  alarm(0);
  return is_new();
}

class Mutator {
 public:
  Mutator(std::uint64_t seed, std::size_t max_size) : random_(seed), max_size_(max_size) {}

  std::size_t below(std::size_t limit) { return limit == 0 ? 0 : random_() % limit; }

  Bytes mutate(Bytes bytes, const std::vector<Bytes>& corpus) {
    for (std::size_t rounds = 1 + below(6); rounds > 0; --rounds) mutate_once(bytes, corpus);
    if (bytes.size() > max_size_) bytes.resize(max_size_);
    return bytes;
  }

 private:
  void mutate_once(Bytes& bytes, const std::vector<Bytes>& corpus) {
    const std::size_t at = below(bytes.size() + 1);
    switch (below(8)) {
      case 0:
        if (at < bytes.size()) bytes[at] ^= static_cast<std::uint8_t>(1u << below(8));
        break;
      case 1:
        if (at < bytes.size()) bytes[at] = static_cast<std::uint8_t>(random_());
        break;
      case 2:
        if (at < bytes.size()) bytes[at] = static_cast<std::uint8_t>(bytes[at] + below(33) - 16);
        break;
      case 3:
        insert(bytes, at, random_bytes(1 + below(16)));
        break;
      case 4:
        bytes.erase(bytes.begin() + static_cast<std::ptrdiff_t>(at),
                    bytes.begin() + static_cast<std::ptrdiff_t>(
                                        std::min(bytes.size(), at + below(16))));
        break;
      case 5:
        overwrite(bytes, at, odd_value());
        break;
      case 6:
        insert(bytes, at, piece(corpus[below(corpus.size())]));
        break;
      default:
        overwrite(bytes, at, piece(bytes));
    }
  }

  Bytes random_bytes(std::size_t count) {
    Bytes bytes(count);
    for (auto& each : bytes) each = static_cast<std::uint8_t>(random_());
    return bytes;
  }

  Bytes piece(const Bytes& source) {
    const std::size_t begin = below(source.size());
    const std::size_t end = begin + below(source.size() - begin + 1);
    return {source.begin() + static_cast<std::ptrdiff_t>(begin),
            source.begin() + static_cast<std::ptrdiff_t>(end)};
  }

  template <typename T>
  static Bytes bytes_of(T value) {
    Bytes bytes(sizeof(T));
    std::memcpy(bytes.data(), &value, sizeof(T));
    return bytes;
  }

  // Numbers at which code tends to break.
  Bytes odd_value() {
    static constexpr double kReals[] = {0.0, -0.0, 0.5, -1.0, 1e-40, 1e9, 2147483648.0, 1e30,
                                        -1e300, HUGE_VAL, -HUGE_VAL, NAN};
    static constexpr std::int64_t kWholes[] = {0, 1, -1, 63, 64, 65, INT32_MAX, INT32_MIN,
                                               INT64_MAX, INT64_MIN};
    const double real = kReals[below(std::size(kReals))];
    const std::int64_t whole = kWholes[below(std::size(kWholes))];
    switch (below(4)) {
      case 0:
        return bytes_of(real);
      case 1:
        return bytes_of(std::abs(real) < 3e38 ? static_cast<float>(real) : HUGE_VALF);
      case 2:
        return bytes_of(static_cast<std::int32_t>(whole & 0xffffffff));
      default:
        return bytes_of(whole);
    }
  }

  static void insert(Bytes& bytes, std::size_t at, const Bytes& more) {
    bytes.insert(bytes.begin() + static_cast<std::ptrdiff_t>(at), more.begin(), more.end());
  }

  static void overwrite(Bytes& bytes, std::size_t at, const Bytes& more) {
    if (bytes.size() < at + more.size()) bytes.resize(at + more.size());
    std::copy(more.begin(), more.end(), bytes.begin() + static_cast<std::ptrdiff_t>(at));
  }

  std::mt19937_64 random_;
  std::size_t max_size_;
};

Bytes read_file(const std::string& name) {
  Bytes bytes;
  FILE* file = std::fopen(name.c_str(), "rb");
  if (file == nullptr) {
    std::fprintf(stderr, "cannot read %s\n", name.c_str());
    std::exit(2);
  }
  for (int c = std::fgetc(file); c != EOF; c = std::fgetc(file)) {
    bytes.push_back(static_cast<std::uint8_t>(c));
  }
  std::fclose(file);
  return bytes;
}

struct Options {
  double seconds = 60;
  std::int64_t runs = -1;  // -1: until the time is up
  std::uint64_t seed = 1;
  std::size_t max_size = 1024;
  std::vector<Bytes> corpus{Bytes(64, 0)};
};

Options read_options(int count, char** arguments) {
  Options options;
  for (int i = 1; i < count; ++i) {
    const std::string argument = arguments[i];
    const std::string value = argument.substr(argument.find('=') + 1);
    if (argument.rfind("-max_total_time=", 0) == 0) {
      options.seconds = std::stod(value);
    } else if (argument.rfind("-runs=", 0) == 0) {
      options.runs = std::stoll(value);
    } else if (argument.rfind("-seed=", 0) == 0) {
      options.seed = std::stoull(value);
    } else if (argument.rfind("-max_len=", 0) == 0) {
      options.max_size = std::stoull(value);
    } else if (argument[0] == '-') {
      std::fprintf(stderr, "unknown option %s\n", argument.c_str());
      std::exit(2);
    } else {
      options.corpus.push_back(read_file(argument));
    }
  }
  return options;
}

double seconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

}  // namespace

// Called by the compiler's instrumentation at every basic block.
extern "C" __attribute__((no_sanitize_address, no_sanitize_undefined)) void
__sanitizer_cov_trace_pc() {
  const auto place = reinterpret_cast<std::uintptr_t>(__builtin_return_address(0));
  std::uint8_t& count = hits[(place * 0x9e3779b9u ^ previous_place) % kEdges];
  if (count < 255) ++count;
  previous_place = place * 0x9e3779b9u >> 1;
}

int main(int count, char** arguments) {
  Options options = read_options(count, arguments);
  __sanitizer_set_death_callback(write_current);
  signal(SIGALRM, on_signal);
  signal(SIGABRT, on_signal);
  Mutator mutator(options.seed, options.max_size);
  const auto begin = std::chrono::steady_clock::now();
  std::vector<Bytes> corpus = options.corpus;
  for (const Bytes& input : options.corpus) (void)run(input);
  std::int64_t runs = 0;
  while ((options.runs < 0 || runs < options.runs) && seconds_since(begin) < options.seconds) {
    for (int k = 0; k < 256 && (options.runs < 0 || runs < options.runs); ++k, ++runs) {
      Bytes input = mutator.mutate(corpus[mutator.below(corpus.size())], corpus);
      if (run(input)) corpus.push_back(std::move(input));
    }
  }
  const auto edges = std::count_if(seen.begin(), seen.end(), [](std::uint8_t k) { return k != 0; });
  std::printf("%lld runs in %.0f s (%.0f s of processor), %zu inputs kept, %lld edges\n",
              static_cast<long long>(runs), seconds_since(begin),
              static_cast<double>(std::clock()) / CLOCKS_PER_SEC, corpus.size(),
              static_cast<long long>(edges));
  return 0;
}
