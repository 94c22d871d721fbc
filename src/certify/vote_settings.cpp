// From what a certificate is asked for to what the backend counts.
#include "smoothcert/certificate.hpp"

namespace smoothcert {

VoteSettings vote_settings(const CertifySettings& settings, const ImageShape& shape) {
  VoteSettings votes;
  votes.mode = settings.mode;
  votes.noise = {settings.noise, settings.sigma, settings.clamp, settings.seed, nullptr};
  if (settings.noise == NoiseLaw::lattice)
    votes.noise.table = make_lattice_table(settings.sigma, shape.size());
  return votes;
}

}  // namespace smoothcert
