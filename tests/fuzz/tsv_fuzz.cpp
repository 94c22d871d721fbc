// The field's result files.
#include "fuzz.hpp"
#include "smoothcert/result_files.hpp"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace smoothcert;
  const fuzz::MemoryFile file({data, size});
  fuzz::expect_error_or_success([&] {
    const ImportedResults results = import_tsv(file.path());  // of a head alone: no certificates
    certificates_tsv(results.certificates, false);
  });
  return 0;
}
