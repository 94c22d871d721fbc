// From what a certificate is asked for to what the backend counts.
#include <algorithm>
#include <list>
#include <mutex>

#include "smoothcert/certificate.hpp"

namespace smoothcert {
namespace {

/// Large tables take a second to make, and a run asks for its own several times.
std::shared_ptr<const LatticeTable> kept_table(double sigma, std::size_t pixels) {
  struct Kept {
    double sigma;
    std::size_t pixels;
    std::shared_ptr<const LatticeTable> table;
  };
  static std::mutex mutex;
  static std::list<Kept> kept;  // the last one used first
  const std::lock_guard lock(mutex);
  const auto found = std::ranges::find_if(
      kept, [&](const Kept& k) { return k.sigma == sigma && k.pixels == pixels; });
  if (found != kept.end()) {
    kept.splice(kept.begin(), kept, found);
  } else {
    kept.push_front({sigma, pixels, make_lattice_table(sigma, pixels)});
    if (kept.size() > 4) kept.pop_back();
  }
  return kept.front().table;
}

}  // namespace

VoteSettings vote_settings(const CertifySettings& settings, const ImageShape& shape) {
  VoteSettings votes;
  votes.mode = settings.mode;
  votes.noise = {settings.noise, settings.sigma, settings.clamp,
                 settings.seed,  nullptr,        noise_width(settings.noise, settings.sigma)};
  if (settings.noise == NoiseLaw::lattice)
    votes.noise.table = kept_table(settings.sigma, shape.size());
  return votes;
}

}  // namespace smoothcert
