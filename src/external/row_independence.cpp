// Seven forward passes over samples that are counted nowhere.
#include "external/row_independence.hpp"

#include <algorithm>
#include <chrono>
#include <vector>

#include "cpu/noisy_rows.hpp"
#include "smoothcert/error.hpp"

namespace smoothcert::external {
namespace {

using Clock = std::chrono::steady_clock;
double since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

class RowCheck {
 public:
  RowCheck(const Forward& forward, const ExternalModelSettings& settings, const NoiseSpec& noise,
           std::span<const std::uint8_t> pixels, ThreadPool& pool, std::span<float> buffer)
      : forward_(forward),
        settings_(settings),
        noise_(noise),
        pixels_(pixels),
        pool_(pool),
        buffer_(buffer),
        tile_(static_cast<std::size_t>(settings.tile)),
        first_(tile_ * pixels.size()) {
    findings_.seconds_per_tile = findings_.noise_seconds_per_tile = 1e9;
    draw(0, first_);
  }

  RowFindings run() {
    // The first call may still choose kernels or compile: it is not compared.
    (void)answers_to(first_);
    const TileAnswers once = answers_to(first_);
    const TileAnswers again = answers_to(first_);
    for (std::size_t row = 0; row < tile_; ++row)
      if (!once.same(row, again, row))
        throw Error(
            "external model: the same tile was answered twice with different bits (row " +
            std::to_string(row) +
            "), so counts could not be repeated or continued. Is it in training mode, does it draw "
            "random numbers, or use kernels that are not deterministic "
            "(torch.use_deterministic_algorithms(True))?");
    for (const std::size_t row : {std::size_t{0}, tile_ - 1})
      if (tile_ > 1) check_others(once, row);
    std::vector<float> alike(first_.size());
    for (std::size_t row = 0; row < tile_; ++row) copy_row(first_, 0, alike, row);
    const TileAnswers same_rows = answers_to(alike);
    for (std::size_t row = 1; row < tile_; ++row)
      findings_.position_dependent |= !same_rows.same(row, same_rows, 0);
    return findings_;
  }

 private:
  /// Row `row` stays what it is in the first tile, all other rows are drawn anew, twice.
  void check_others(const TileAnswers& once, std::size_t row) {
    std::vector<float> images(first_.size());
    for (int refill = 0; refill < 2; ++refill) {
      draw(++tiles_, images);
      copy_row(first_, row, images, row);
      findings_.batch_dependent |= !answers_to(images).same(row, once, row);
    }
  }

  void draw(std::uint64_t tile, std::vector<float>& images) {
    const auto start = Clock::now();
    const cpu::NoisyRows rows{
        pixels_.data(), 0, Purpose::check_rows, tile * tile_ % samples_of(noise_), tile_,
        images.data()};
    cpu::draw_rows(noise_, pixels_.size(), {&rows, 1}, pool_);
    findings_.noise_seconds_per_tile = std::min(findings_.noise_seconds_per_tile, since(start));
  }

  void copy_row(const std::vector<float>& from, std::size_t from_row, std::vector<float>& to,
                std::size_t to_row) const {
    std::copy_n(from.data() + from_row * pixels_.size(), pixels_.size(),
                to.data() + to_row * pixels_.size());
  }

  /// A callback may overwrite its images: they are copied for each call.
  TileAnswers answers_to(const std::vector<float>& images) {
    std::ranges::copy(images, buffer_.begin());
    TileAnswers answers(forward_, tile_, settings_.classes);
    const auto start = Clock::now();
    answers.run(buffer_);
    findings_.seconds_per_tile = std::min(findings_.seconds_per_tile, since(start));
    return answers;
  }

  const Forward& forward_;
  const ExternalModelSettings& settings_;
  const NoiseSpec& noise_;
  std::span<const std::uint8_t> pixels_;
  ThreadPool& pool_;
  std::span<float> buffer_;
  std::size_t tile_;
  std::vector<float> first_;
  std::uint64_t tiles_ = 0;
  RowFindings findings_;
};

}  // namespace

RowFindings check_rows(const Forward& forward, const ExternalModelSettings& settings,
                       const NoiseSpec& noise, std::span<const std::uint8_t> pixels,
                       ThreadPool& pool, std::span<float> tile) {
  return RowCheck(forward, settings, noise, pixels, pool, tile).run();
}

}  // namespace smoothcert::external
