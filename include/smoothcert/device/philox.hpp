// Philox4x32-10, the counter-based generator behind every random number of the project.
// Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
//
// A draw is a pure function of (seed, purpose, image, sample, pixel), so counts never depend on
// batch size, threads, devices, sharding or a resume.
#pragma once

#include <cstdint>

#include "smoothcert/device/hd.hpp"

namespace smoothcert {

/// What a random number is for: word 3 of the Philox counter. Streams of different purposes never
/// share a counter; in particular selection and estimation are independent.
enum class Purpose : std::uint32_t {
  select = 0,             ///< n0 samples that choose the class A
  estimate = 1,           ///< n fresh samples that bound p_A
  refine = 2,             ///< reserved for refinement stages
  predict = 3,            ///< PREDICT of Cohen et al.
  randomised_bound = 4,   ///< randomised Clopper–Pearson
  train_noise = 5,        ///< noise augmentation; image = data-set index, sample = global step
  attack_start = 6,       ///< random start of PGD; image = data-set index, sample = restart
  initialise = 7,         ///< initial parameters; image = 0, sample = tensor index
  shuffle = 8,            ///< order of an epoch; image = 0, sample = epoch
  draw_digits = 9,        ///< the built-in data set; image = index, sample = split
  confirm_disproof = 10,  ///< fresh votes at a candidate x'; image = data-set index
  split_offsets = 12,     ///< splitting noise; image = 0, sample = 0
  subset = 13,            ///< random choice of images; image = data-set index
  check_rows = 14,        ///< samples that show whether an external model's rows are independent
  search_disproof = 15,   ///< fixed noises and votes of the search for x'; image = data-set index
};

/// Set in word 3 for the second draw of the alias sampler (see lattice_noise.hpp).
inline constexpr std::uint32_t kRefineTag = 0x80000000u;

namespace device {
inline namespace SMOOTHCERT_ISA {

struct PhiloxWords {
  std::uint32_t v[4];
};

inline constexpr std::uint32_t kPhiloxM0 = 0xD2511F53u, kPhiloxM1 = 0xCD9E8D57u;
inline constexpr std::uint32_t kPhiloxW0 = 0x9E3779B9u, kPhiloxW1 = 0xBB67AE85u;

/// Four 32-bit words for one counter and one 64-bit key given as (low, high) halves.
SMOOTHCERT_HD PhiloxWords philox4x32_10(PhiloxWords c, std::uint32_t key_lo, std::uint32_t key_hi) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = std::uint64_t{kPhiloxM0} * c.v[0];
    const std::uint64_t p1 = std::uint64_t{kPhiloxM1} * c.v[2];
    c = PhiloxWords{
        {static_cast<std::uint32_t>(p1 >> 32) ^ c.v[1] ^ key_lo, static_cast<std::uint32_t>(p1),
         static_cast<std::uint32_t>(p0 >> 32) ^ c.v[3] ^ key_hi, static_cast<std::uint32_t>(p0)}};
    key_lo += kPhiloxW0;
    key_hi += kPhiloxW1;
  }
  return c;
}

/// The project's counter layout: flat CHW pixel index p lives in word p mod 4 of group p / 4.
SMOOTHCERT_HD PhiloxWords philox_at(std::uint64_t seed, std::uint32_t purpose, std::uint32_t image,
                                    std::uint32_t sample, std::uint32_t group) {
  return philox4x32_10(PhiloxWords{{group, sample, image, purpose}},
                       static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32));
}

/// A float in [0, 1): the top 24 bits, exactly.
SMOOTHCERT_HD float uniform01(std::uint32_t word) {
  return static_cast<float>(word >> 8) * (1.0f / 16777216.0f);
}

}  // namespace SMOOTHCERT_ISA
}  // namespace device
}  // namespace smoothcert
