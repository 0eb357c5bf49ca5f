// SPDX-License-Identifier: Apache-2.0
#include "common/output/table.h"

#include <algorithm>
#include <cstdio>

#include "common/base/encoding.h"
#include "common/base/escape_once.h"

namespace assay::output {
namespace {

constexpr std::size_t kShortDigest = 12;
constexpr std::size_t kMaxCellBytes = 512;
constexpr std::size_t kMaxWideCellBytes = 4096;

struct Cell {
  std::string text;  // escaped, no colour
  std::string colour;
};

std::string_view colour_of(std::string_view verdict) {
  if (verdict == "approved") return "\x1b[32m";
  if (verdict == "deprecated" || verdict == "pending") return "\x1b[33m";
  if (verdict == "revoked" || verdict == "expired") return "\x1b[31m";
  if (verdict == "unknown") return "\x1b[35m";
  return "";
}

class Printer {
 public:
  explicit Printer(const TableOptions& options) : options_(options) {}

  std::string print(const Document& document) {
    for (const Section& section : document.sections)
      add_section(section, document.value);
    return std::move(out_);
  }

 private:
  std::string text_of(const Value& value, Style style) const {
    return std::visit([&](const auto& held) { return text(held, style); }, value.storage());
  }
  std::string text(std::monostate, Style) const { return "-"; }
  std::string text(bool value, Style) const { return value ? "yes" : "no"; }
  std::string text(std::int64_t value, Style style) const {
    return style == Style::kDuration ? format_duration(std::chrono::nanoseconds(value))
                                     : std::to_string(value);
  }
  std::string text(std::uint64_t value, Style style) const {
    return style == Style::kBytes ? format_bytes(value) : std::to_string(value);
  }
  std::string text(const std::string& value, Style) const {
    if (value.empty()) return "-";
    return escape_once(value, options_.is_wide ? kMaxWideCellBytes : kMaxCellBytes);
  }
  std::string text(WallTime value, Style style) const {
    return style == Style::kAge ? format_age(options_.now - value) : to_rfc3339(value, 0);
  }
  std::string text(const DigestBytes& value, Style style) const {
    const std::string hex = digest_hex(value);
    if (style == Style::kDigest && !options_.is_wide) return hex.substr(0, kShortDigest);
    return "sha256:" + hex;
  }
  std::string text(const Array& values, Style style) const {
    std::string joined;
    for (const Value& value : values)
      joined += (joined.empty() ? "" : ", ") + text_of(value, style);
    return joined.empty() ? "-" : joined;
  }
  std::string text(const Object& members, Style style) const {
    std::string joined;
    for (const auto& [name, value] : members)
      joined += (joined.empty() ? "" : ", ") + escape_once(name) + "=" + text_of(value, style);
    return joined.empty() ? "-" : joined;
  }

  /// A record leaves out what there is nothing to say of; a table cannot.
  static bool is_absent(const Value* value) {
    if (value == nullptr || value->is_null()) return true;
    if (const auto* held = std::get_if<std::string>(&value->storage())) return held->empty();
    if (const auto* held = std::get_if<Object>(&value->storage())) return held->empty();
    return value->array() != nullptr && value->array()->empty();
  }

  Cell cell(const Value& row, const Column& column) const {
    const Value* value = row.find(column.path);
    Cell cell{value == nullptr ? "-" : text_of(*value, column.style), ""};
    if (options_.has_colour && column.style == Style::kVerdict) cell.colour = colour_of(cell.text);
    return cell;
  }

  void add_cell(const Cell& cell) {
    out_ += cell.colour + cell.text + (cell.colour.empty() ? "" : "\x1b[0m");
  }

  void add_row(const std::vector<Cell>& row, const std::vector<std::size_t>& widths) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      add_cell(row[i]);
      if (i + 1 < row.size()) out_.append(widths[i] - display_width(row[i].text) + 3, ' ');
    }
    out_ += '\n';
  }

  std::vector<const Column*> shown(const Section& section) const {
    std::vector<const Column*> columns;
    for (const Column& column : section.columns)
      if (options_.is_wide || !column.is_wide) columns.push_back(&column);
    return columns;
  }

  void add_text(const Section& section) {
    if (!section.title.empty())
      out_ += (out_.empty() ? "" : "\n") + escape_once(section.title) + "\n";
    for (std::size_t at = 0; at < section.text.size();) {
      const std::size_t end = std::min(section.text.find('\n', at), section.text.size());
      out_ += escape_once(section.text.substr(at, end - at), kMaxWideCellBytes) + "\n";
      at = end + 1;
    }
  }

  void add_section(const Section& section, const Value& root) {
    if (!section.text.empty()) return add_text(section);
    if (section.columns.empty()) return;
    const Value* value = root.find(section.path);
    if (value == nullptr || value->is_null()) return;
    const Array* rows = value->array();
    if (!section.is_record && (rows == nullptr || rows->empty())) return;
    if (!section.title.empty())
      out_ += (out_.empty() ? "" : "\n") + escape_once(section.title) + "\n";
    if (section.is_record)
      add_record(section, *value);
    else
      add_rows(section, *rows);
  }

  void add_record(const Section& section, const Value& record) {
    std::size_t widest = 0;
    auto columns = shown(section);
    if (!options_.is_wide)
      std::erase_if(columns,
                    [&](const Column* column) { return is_absent(record.find(column->path)); });
    for (const Column* column : columns)
      widest = std::max(widest, display_width(column->header));
    for (const Column* column : columns) {
      out_ += column->header + ":";
      out_.append(widest - display_width(column->header) + 2, ' ');
      add_cell(cell(record, *column));
      out_ += '\n';
    }
  }

  void add_rows(const Section& section, const Array& values) {
    const auto columns = shown(section);
    std::vector<std::vector<Cell>> rows;
    if (options_.has_headers) {
      rows.emplace_back();
      for (const Column* column : columns)
        rows.back().push_back({column->header, ""});
    }
    for (const Value& value : values) {
      rows.emplace_back();
      for (const Column* column : columns)
        rows.back().push_back(cell(value, *column));
    }
    std::vector<std::size_t> widths(columns.size(), 0);
    for (const auto& row : rows)
      for (std::size_t i = 0; i < row.size(); ++i)
        widths[i] = std::max(widths[i], display_width(row[i].text));
    for (const auto& row : rows)
      add_row(row, widths);
  }

  TableOptions options_;
  std::string out_;
};

}  // namespace

std::string to_table(const Document& document, const TableOptions& options) {
  return Printer(options).print(document);
}

std::string format_age(std::chrono::nanoseconds age) {
  const auto total = std::max<std::int64_t>(0, age.count() / 1'000'000'000);
  const std::int64_t days = total / 86400, hours = total / 3600 % 24;
  const std::int64_t minutes = total / 60 % 60, seconds = total % 60;
  const auto pair = [](std::int64_t big, char big_unit, std::int64_t small, char small_unit) {
    std::string text = std::to_string(big) + big_unit;
    return small == 0 ? text : text + std::to_string(small) + small_unit;
  };
  if (days >= 10) return std::to_string(days) + "d";
  if (days > 0) return pair(days, 'd', hours, 'h');
  if (hours > 0) return pair(hours, 'h', minutes, 'm');
  if (minutes > 0) return pair(minutes, 'm', seconds, 's');
  return std::to_string(seconds) + "s";
}

std::string format_duration(std::chrono::nanoseconds length) {
  using std::chrono::milliseconds;
  constexpr std::chrono::seconds kShort{10};
  const std::string sign = length.count() < 0 ? "-" : "";
  const auto size = length.count() < 0 ? -length : length;
  if (size >= kShort) return sign + format_age(size);
  const auto ms = std::chrono::duration_cast<milliseconds>(size).count();
  return (ms == 0 ? "" : sign) + std::to_string(ms) + "ms";
}

std::string format_bytes(std::uint64_t bytes) {
  constexpr const char* kUnits[] = {"kB", "MB", "GB", "TB", "PB", "EB"};
  if (bytes < 1000) return std::to_string(bytes) + " B";
  double value = static_cast<double>(bytes) / 1000;
  std::size_t unit = 0;
  while (value >= 999.95 && unit + 1 < std::size(kUnits)) {
    value /= 1000;
    ++unit;
  }
  char text[32];
  std::snprintf(text, sizeof(text), "%.1f %s", value, kUnits[unit]);
  return text;
}

}  // namespace assay::output
