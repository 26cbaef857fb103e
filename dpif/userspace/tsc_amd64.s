#include "textflag.h"

// func cycleCounter() uint64
TEXT ·cycleCounter(SB), NOSPLIT, $0-8
	RDTSC
	SHLQ $32, DX
	ORQ  DX, AX
	MOVQ AX, ret+0(FP)
	RET
