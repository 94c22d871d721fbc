// What ranks tell each other, as bytes.
#pragma once

#ifdef SMOOTHCERT_MPI
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "smoothcert/error.hpp"
#include "smoothcert/network.hpp"
#include "smoothcert/votes.hpp"

namespace smoothcert::cli {

enum Tag : int { kLoad = 1, kDrop, kCount, kEnd, kResults, kFailure };

using Bytes = std::vector<std::uint8_t>;

/// Plain values and spans of them, in the machine's own byte order: all ranks run one binary.
class Writer {
 public:
  template <class T>
  void put(const T& value) {
    static_assert(std::is_trivially_copyable_v<T>);
    const auto* first = reinterpret_cast<const std::uint8_t*>(&value);
    bytes.insert(bytes.end(), first, first + sizeof(T));
  }
  void put_all(std::span<const std::uint8_t> values) {
    bytes.insert(bytes.end(), values.begin(), values.end());
  }
  Bytes bytes;
};

class Reader {
 public:
  explicit Reader(std::span<const std::uint8_t> bytes) : rest_(bytes) {}
  template <class T>
  T get() {
    T value;
    std::memcpy(&value, get_all(sizeof(T)).data(), sizeof(T));
    return value;
  }
  std::span<const std::uint8_t> get_all(std::size_t size) {
    if (size > rest_.size()) throw Error("a message between ranks was cut short");
    const auto front = rest_.first(size);
    rest_ = rest_.subspan(size);
    return front;
  }
  [[nodiscard]] std::span<const std::uint8_t> rest() const { return rest_; }

 private:
  std::span<const std::uint8_t> rest_;
};

/// The whole network: description, tensors, record.
Bytes network_bytes(const Network& network);

/// Some of a count's jobs, with the pixels they need.
Bytes count_bytes(std::uint32_t model, const VoteSettings& settings, std::size_t image_size,
                  std::span<const VoteJob> jobs, std::span<const std::size_t> chosen);

struct CountRequest {
  std::uint32_t model = 0;
  VoteSettings settings;  ///< without the table
  std::size_t image_size = 0;
  std::vector<VoteJob> jobs;
  std::vector<std::uint64_t> numbers;  ///< of the jobs, as rank 0 counts them
};
/// `bytes` must outlive the request: jobs point into it.
CountRequest read_count(const Bytes& bytes);

Bytes results_bytes(std::span<const VoteResult> results);  ///< job = number at rank 0
std::vector<VoteResult> read_results(const Bytes& bytes);

}  // namespace smoothcert::cli
#endif
