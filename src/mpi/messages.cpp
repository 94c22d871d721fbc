// What ranks tell each other, as bytes.
#ifdef SMOOTHCERT_MPI
#include "mpi/messages.hpp"

#include <filesystem>

#include "network/bytes.hpp"

namespace smoothcert::cli {

Bytes network_bytes(const Network& network) { return network_to_safetensors(network, "network"); }

Bytes count_bytes(std::uint32_t model, const VoteSettings& settings, std::size_t image_size,
                  std::span<const VoteJob> jobs, std::span<const std::size_t> chosen) {
  Writer out;
  out.put(model);
  out.put(settings.mode);
  out.put(settings.noise.law);
  out.put(settings.noise.sigma);
  out.put(settings.noise.clamp);
  out.put(settings.noise.seed);
  out.put(settings.noise.width);
  out.put<std::uint64_t>(image_size);
  out.put<std::uint64_t>(chosen.size());
  for (const std::size_t number : chosen) {
    const VoteJob& job = jobs[number];
    out.put<std::uint64_t>(number);
    out.put(job.image);
    out.put(job.purpose);
    out.put(job.first);
    out.put(job.last);
    out.put_all({job.pixels, image_size});
  }
  return std::move(out.bytes);
}

CountRequest read_count(const Bytes& bytes) {
  Reader in(bytes);
  CountRequest request;
  request.model = in.get<std::uint32_t>();
  request.settings.mode = in.get<Mode>();
  request.settings.noise.law = in.get<NoiseLaw>();
  request.settings.noise.sigma = in.get<double>();
  request.settings.noise.clamp = in.get<bool>();
  request.settings.noise.seed = in.get<std::uint64_t>();
  request.settings.noise.width = in.get<std::uint32_t>();
  request.image_size = in.get<std::uint64_t>();
  const auto jobs = in.get<std::uint64_t>();
  for (std::uint64_t i = 0; i < jobs; ++i) {
    request.numbers.push_back(in.get<std::uint64_t>());
    VoteJob job;
    job.image = in.get<std::uint32_t>();
    job.purpose = in.get<Purpose>();
    job.first = in.get<std::uint64_t>();
    job.last = in.get<std::uint64_t>();
    job.pixels = in.get_all(request.image_size).data();
    request.jobs.push_back(job);
  }
  return request;
}

Bytes results_bytes(std::span<const VoteResult> results) {
  Writer out;
  out.put<std::uint64_t>(results.size());
  for (const VoteResult& result : results) {
    out.put<std::uint64_t>(result.job);
    out.put(result.invalid);
    out.put<std::uint64_t>(result.counts.size());
    for (const std::uint64_t count : result.counts) out.put(count);
  }
  return std::move(out.bytes);
}

std::vector<VoteResult> read_results(const Bytes& bytes) {
  Reader in(bytes);
  std::vector<VoteResult> results;
  for (auto left = in.get<std::uint64_t>(); left > 0; --left) {
    VoteResult result;
    result.job = in.get<std::uint64_t>();
    result.invalid = in.get<std::uint64_t>();
    for (auto classes = in.get<std::uint64_t>(); classes > 0; --classes)
      result.counts.push_back(in.get<std::uint64_t>());
    results.push_back(std::move(result));
  }
  return results;
}

}  // namespace smoothcert::cli
#endif
