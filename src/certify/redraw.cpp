// Stored certificates against the same samples drawn again.
#include <fmt/format.h>

#include <map>

#include "smoothcert/campaign.hpp"
#include "store/codec.hpp"

namespace smoothcert {

std::vector<std::string> redraw_differences(BackendModel& model, const Dataset& data,
                                            const RunInfo& run, std::span<const Certificate> stored,
                                            std::span<const std::uint32_t> images,
                                            std::stop_token stop) {
  std::map<std::uint32_t, const Certificate*> held;
  for (const Certificate& c : stored) held.emplace(c.image, &c);
  std::vector<std::string> lines;
  CertifyCallbacks callbacks;
  callbacks.on_certificate = [&](const Certificate& drawn) {
    const auto found = held.find(drawn.image);
    const std::string now = store::certificate_text(drawn);
    const std::string then =
        found == held.end() ? "nothing" : store::certificate_text(*found->second);
    if (now != then)
      lines.push_back(fmt::format("run {}, image {}: drawn again it gives {}, the store holds {}",
                                  run.id, drawn.image, now, then));
  };
  certify(model, data, images, run.settings.certify, {}, callbacks, std::move(stop));
  return lines;
}

}  // namespace smoothcert
