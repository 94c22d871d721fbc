// Stands in for libFuzzer where the compiler has none: replays every seed, then mutates seeds for a
// while (bit flips, overwritten and inserted bytes, interesting numbers, cuts, splices). Blind, but
// with the sanitizers on it finds the shallow half. Takes libFuzzer's arguments that tools/fuzz
// gives: -max_total_time=S -timeout=S -artifact_prefix=P FOLDER…; the rest is ignored.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "fuzz.hpp"

#if defined(__SANITIZE_ADDRESS__)
extern "C" void __sanitizer_set_death_callback(void (*callback)());
#endif

namespace {

using Input = std::vector<std::uint8_t>;
using Clock = std::chrono::steady_clock;

const Input* current = nullptr;
std::string artifact;

/// Keeps the input that did it. Only calls that a signal handler may make.
void keep_input() {
  if (current == nullptr) return;
  const int fd = ::open(artifact.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (fd >= 0 && ::write(fd, current->data(), current->size()) >= 0) ::close(fd);
}
void on_signal(int number) {
  keep_input();
  const char* words = number == SIGALRM ? "TIMEOUT: one input takes too long\n" : "CRASH\n";
  if (::write(2, words, std::strlen(words)) < 0) _exit(3);
  _exit(2);
}

Input read_input(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void mutate(Input& input, const std::vector<Input>& seeds, std::mt19937_64& random) {
  const auto below = [&](std::size_t n) { return n == 0 ? 0 : random() % n; };
  static constexpr std::uint64_t kInteresting[] = {
      0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff, ~0ull};
  for (std::size_t rounds = 1 + below(6); rounds > 0; --rounds) {
    const std::size_t at = below(input.size());
    const auto position = input.begin() + static_cast<std::ptrdiff_t>(at);
    switch (below(7)) {
      case 0:
        if (!input.empty()) input[at] ^= static_cast<std::uint8_t>(1u << below(8));
        break;
      case 1:
        if (!input.empty()) input[at] = static_cast<std::uint8_t>(random());
        break;
      case 2:
        input.insert(position, static_cast<std::uint8_t>(random()));
        break;
      case 3: {
        const std::uint64_t value = kInteresting[below(std::size(kInteresting))];
        const std::size_t width = std::size_t{1} << below(4);
        if (at + width <= input.size()) std::memcpy(&input[at], &value, width);
        break;
      }
      case 4:
        input.erase(position, position + static_cast<std::ptrdiff_t>(
                                             below(std::min<std::size_t>(64, input.size() - at))));
        break;
      case 5:
        if (below(8) == 0) input.resize(at);
        break;
      default: {
        const Input& other = seeds[below(seeds.size())];
        const std::size_t from = below(other.size());
        const std::size_t count = below(std::min<std::size_t>(64, other.size() - from));
        const auto begin = other.begin() + static_cast<std::ptrdiff_t>(from);
        input.insert(position, begin, begin + static_cast<std::ptrdiff_t>(count));
      }
    }
  }
}

}  // namespace

int main(int count, char** arguments) {
  double seconds = 10;
  unsigned timeout = 5;
  std::vector<Input> seeds;
  for (int i = 1; i < count; ++i) {
    const std::string argument = arguments[i];
    if (argument.starts_with("-max_total_time=")) seconds = std::stod(argument.substr(16));
    if (argument.starts_with("-timeout="))
      timeout = static_cast<unsigned>(std::stoul(argument.substr(9)));
    if (argument.starts_with("-artifact_prefix=")) artifact = argument.substr(17) + "crash-input";
    if (argument.starts_with("-") || !std::filesystem::exists(argument)) continue;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(argument))
      if (entry.is_regular_file()) seeds.push_back(read_input(entry.path()));
  }
  for (const int number : {SIGALRM, SIGABRT}) ::signal(number, on_signal);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_set_death_callback(keep_input);
#endif
  std::uint64_t runs = 0;
  const auto run = [&](const Input& input) {
    current = &input;
    ::alarm(timeout);
    LLVMFuzzerTestOneInput(input.data(), input.size());
    current = nullptr;
    ++runs;
  };
  for (const Input& seed : seeds) run(seed);
  if (seeds.empty()) seeds.emplace_back();
  std::mt19937_64 random(1);
  const auto end = Clock::now() + std::chrono::duration<double>(seconds);
  while (Clock::now() < end) {
    Input input = seeds[random() % seeds.size()];
    mutate(input, seeds, random);
    run(input);
  }
  ::alarm(0);
  std::fprintf(stderr, "Done %llu runs (no libFuzzer: seeds and blind mutations)\n",
               static_cast<unsigned long long>(runs));
  return 0;
}
