// printf and assert of a kernel: what its author puts in first when something is wrong.
#pragma once
#include <string>

#include "memory.hpp"

namespace emulator {

inline std::string read_text(u64 address, u32 site) {
  std::string text;
  while (const char c = load<char>(generic(address++, 1, READ, site))) text += c;
  return text;
}

// The values lie one after another, each aligned to its size: 8 bytes for floats, pointers and long integers, else 4.
struct Values {
  u64 address;
  u32 site;
  template <class T>
  T next() {
    address = (address + sizeof(T) - 1) / sizeof(T) * sizeof(T);
    const T value = load<T>(generic(address, sizeof(T), READ, site));
    address += sizeof(T);
    return value;
  }
};

template <class T>
inline std::string formatted(const std::string& conversion, T value) {
  std::string text(snprintf(nullptr, 0, conversion.c_str(), value) + 1, 0);
  snprintf(&text[0], text.size(), conversion.c_str(), value);
  text.pop_back();
  return text;
}

inline std::string print_one(const std::string& conversion, Values& values, u32 site) {
  const char kind = conversion.back();
  const bool is_long = conversion.find_first_of("ljzt") != std::string::npos;
  if (strchr("eEfFgGaA", kind)) return formatted(conversion, values.next<double>());
  if (kind == 's') return formatted(conversion, read_text(values.next<u64>(), site).c_str());
  if (kind == 'p' || is_long) return formatted(conversion, values.next<u64>());
  if (strchr("diouxXc", kind)) return formatted(conversion, values.next<u32>());
  fail(site, "printf: the emulator does not know the conversion %s", conversion.c_str());
}

u32 print(u64 format, u64 address, u32 site) {
  LintTotals* const lint = machine.launch->lint;
  machine.launch->lint = nullptr;  // what is read here a GPU's kernel does not read
  const std::string text = read_text(format, site);
  std::string out;
  Values values{address, site};
  u32 count = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%' || text.compare(i, 2, "%%") == 0) {
      out += text[i];
      i += text[i] == '%';
      continue;
    }
    const size_t last = std::min(text.find_first_not_of("%-+ #0123456789.hljzt", i), text.size() - 1);
    out += print_one(text.substr(i, last - i + 1), values, site);
    ++count;
    i = last;
  }
  if (!machine.launch->is_silent) {
    fwrite(out.data(), 1, out.size(), stdout);
    fflush(stdout);
  }
  machine.launch->lint = lint;
  return count;
}

[[noreturn]] void assertion_failed(u64 condition, u32 site) {
  fail(site, "assertion failed: %.300s", read_text(condition, site).c_str());
}

}  // namespace emulator
