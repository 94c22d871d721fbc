// Results as the field's tab-separated files, for other people's scripts and from them.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "smoothcert/certificate.hpp"
#include "smoothcert/predict.hpp"
#include "smoothcert/summary.hpp"

namespace smoothcert {

/// Header and lines of `idx label predict radius correct time`, in data-set order; see export_tsv()
/// in results.hpp for the file.
std::string certificates_tsv(std::vector<Certificate> certificates, bool compat);

/// `idx label predict correct time`.
std::string predictions_tsv(std::vector<Prediction> predictions);
/// Written atomically.
void export_predictions_tsv(const std::vector<Prediction>& predictions,
                            const std::filesystem::path& file);

/// The same with commas, for spreadsheets and scripts that want them.
std::string certificates_csv(std::vector<Certificate> certificates, bool compat);
std::string predictions_csv(std::vector<Prediction> predictions);

/// "H:MM:SS.ffffff"; "" where it is not known (NaN).
std::string duration_text(double seconds);

/// Somebody's results as far as their file tells: certificates without counts.
struct ImportedResults {
  std::string name;    ///< the file's name without its folder, and without .tsv, .txt or .csv
  std::string origin;  ///< the absolute path it came from
  std::vector<Certificate> certificates;  ///< may be none: a file of a header alone
  std::vector<std::string> notes;         ///< how the file was read where that is not obvious
};

/// Reads the field's certification file, with tabs or commas. `correct` is had from label and
/// predict: some codes write a running total there, which is recognised and noted. A time may be
/// "H:MM:SS.ffffff", "1 day, 2:03:04" or seconds; one that cannot be read is unknown. Throws Error
/// naming the file and the line: wrong header, missing or malformed field, an index twice, a
/// `correct` that contradicts label and predict, abstention with a radius.
ImportedResults import_tsv(const std::filesystem::path& file);

class ResultsStore;

/// summarise() of a peer's results, for rounding down: their radii are decimals, which binary
/// numbers hold a little too small, so that 0.978 would be shown as 0.9779.
Summary summarise_imported(std::span<const Certificate> certificates);

/// Keeps them in a store as the document "import/NAME"; a result of that name is replaced.
void put_imported(ResultsStore& store, const ImportedResults& results);
/// All that a store holds, by name. Throws Error where one is damaged.
std::vector<ImportedResults> imported_results(const ResultsStore& store);

}  // namespace smoothcert
