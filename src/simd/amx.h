// The vocabulary of avx512.h with AMX's tiles for products of many int8 inputs.
//
// Tiles: Intel SDM volume 1, chapter 18. A thread may use them once the process has asked the
// kernel for their state; see has_amx() in base/cpu.cpp.
#pragma once

#include "simd/avx512.h"

#define QUANT_SIMD static inline __attribute__((always_inline))

namespace quant {

struct Amx : Avx512 {
  static constexpr int kInt8Rows = 16;
  static constexpr int kInt8Columns = 32;

  /// Shapes of the tiles while it lives: products of Columns columns, of 16 inputs in slot 0 and of
  /// `rest` inputs (up to 15) in slot 1.
  template <int Columns>
  class Tiles {
   public:
    explicit Tiles(int rest) {
      Shapes shapes{};
      shapes.palette = 1;
      for (int slot = 0; slot < 2; ++slot) {
        const int inputs = slot == 0 || rest == 0 ? kInt8Rows : rest;
        shapes.set(product_of(slot), inputs, 64);
        shapes.set(inputs_of(slot), inputs, Columns);
        shapes.set(weights_of(slot), Columns / 4, 64);
      }
      __asm__ volatile("ldtilecfg %0" ::"m"(shapes));
    }
    ~Tiles() { __asm__ volatile("tilerelease"); }
    Tiles(const Tiles&) = delete;
    Tiles& operator=(const Tiles&) = delete;

    /// out[i][r] = Σ_k x[i][k]·w[r][k] over Columns columns. x: [inputs][kInt8Columns], w: codes of
    /// sixteen rows, four columns a word.
    template <int Slot>
    inline __attribute__((always_inline)) void sum(const int8_t* x, const int32_t (*w)[16],
                                                   int32_t (*out)[16]) const {
      load<inputs_of(Slot)>(x, kInt8Columns);
      load<weights_of(Slot)>(w, 64);
      zero<Slot>();
      multiply<Slot>();
      __asm__ volatile("tilestored %%tmm%c2, (%0,%1,1)" ::"r"(out), "r"(64L),
                       "i"(product_of(Slot))
                       : "memory");
    }
    template <int Slot>
    inline __attribute__((always_inline)) void zero() const {
      __asm__ volatile("tilezero %%tmm%c0" ::"i"(product_of(Slot)));
    }
    /// Adds the products of what the slot's tiles hold.
    template <int Slot>
    inline __attribute__((always_inline)) void multiply() const {
      __asm__ volatile("tdpbssd %%tmm%c0, %%tmm%c1, %%tmm%c2" ::"i"(weights_of(Slot)),
                       "i"(inputs_of(Slot)), "i"(product_of(Slot)));
    }

   private:
    template <int Tile>
    inline __attribute__((always_inline)) void load(const void* from, long stride) const {
      __asm__ volatile("tileloadd (%0,%1,1), %%tmm%c2" ::"r"(from), "r"(stride), "i"(Tile)
                       : "memory");
    }

    /// What ldtilecfg reads.
    struct Shapes {
      uint8_t palette;
      uint8_t start_row;
      uint8_t reserved[14];
      uint16_t bytes[16];  // of a row
      uint8_t rows[16];

      void set(int tile, int n_rows, int row_bytes) {
        rows[tile] = static_cast<uint8_t>(n_rows);
        bytes[tile] = static_cast<uint16_t>(row_bytes);
      }
    };
    static constexpr int product_of(int slot) { return slot; }
    static constexpr int inputs_of(int slot) { return 2 + slot; }
    static constexpr int weights_of(int slot) { return 4 + slot; }
  };
};

}  // namespace quant

#undef QUANT_SIMD
