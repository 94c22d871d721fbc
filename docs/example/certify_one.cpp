// Certifies the first images of a test set: certify_one MODEL.safetensors DATA_FOLDER [COUNT]
#include <cstdio>
#include <cstdlib>

#include "smoothcert/backend.hpp"
#include "smoothcert/certify.hpp"
#include "smoothcert/data_source.hpp"
#include "smoothcert/error.hpp"
#include "smoothcert/network_file.hpp"
#include "smoothcert/subsets.hpp"

int main(int argc, char** argv) try {
  if (argc < 3) throw smoothcert::UsageError("usage: certify_one MODEL.safetensors DATA [COUNT]");
  const smoothcert::Network network = smoothcert::load_network(argv[1]);
  smoothcert::DataRequest request;
  request.name = argv[2];
  const smoothcert::Dataset test = smoothcert::load_data(request).test;

  std::string note;
  const auto backend = smoothcert::make_backend("auto", 0, &note);
  std::fprintf(stderr, "%s\n", note.c_str());
  const auto model = backend->load(network);

  smoothcert::CertifySettings settings;  // σ = 1, n0 = 1,000, n = 10,000, α = 0.05
  smoothcert::CertifyCallbacks callbacks;
  callbacks.on_certificate = [](const smoothcert::Certificate& c) {
    std::printf("image %u: label %d, answer %d, radius %.17g\n", c.image, c.label, c.prediction,
                c.radius);
  };
  const auto count = argc > 3 ? std::strtoul(argv[3], nullptr, 10) : 10;
  smoothcert::certify(*model, test, smoothcert::spaced_indices(test.size(), 0, 1, count), settings,
                      {}, callbacks);
} catch (const smoothcert::Error& e) {
  std::fprintf(stderr, "certify_one: %s\n", e.what());
  return 1;
}
