#!/usr/bin/env bash
# A quarter of an hour on an NVIDIA card, prepared: neither Go nor a network is needed on the card's machine.
#
#   docker/gpu-session.sh --build DIR            here: the program, this script, the processor's numbers and images, into DIR
#   DIR/gpu-session.sh --out OUT [PART…]         there: the parts named, or the first five, within GPU_SECONDS (570) altogether
#   docker/gpu-session.sh --studies              the studies that are parts too, a line each: name and what bench is given
#   docker/gpu-session.sh --dry OUT              here: both, on the processor, small; under five minutes
#
# Parts, by what they tell first:
#   doctor   the card, the driver, the plugin, its libraries, a product of matrices
#   check    ten training steps and one sampling call against the processor's numbers
#   torch    the same networks in PyTorch, which compiles for minutes on all cores: so before any study, and beside none
#   device   images a second, share of a matrix product's speed, the host's share, memory
#   quick    the quick benchmark, and every other study: ten runs at a time, side by side under NVIDIA's MPS
# What is unfinished goes on when its part is named again with the same GPU_WORK. Nothing is started anew for being slow.
#
# Where a command may take ten minutes, two of them fill the quarter of an hour, the machine's start counted in:
#   1. GPU_WORK=/tmp/gw DIR/gpu-session.sh --out OUT doctor check torch device quick
#   2. GPU_WORK=/tmp/gw GPU_SECONDS=240 DIR/gpu-session.sh --out OUT bf16 policies cifar32 …   the most telling first
# The second follows while the machine is warm, or else finds what the first brought back: OUT/kept.tgz is what the card's compilers
# found out and made (XLA's programs and choice of algorithms, PyTorch's kernels); --build lays it beside the program with GPU_KEPT=OUT.
#
# OUT stays flat and small, at most seven files of at most 15 MiB: session.txt (a line a part), log.txt (all they said), results.tgz (stored
# results and measurements; NAME.begun has the runs that finished of a study that did not), runs.tgz.00 to .02 (run folders without networks; cat them together), kept.tgz.
#
# Settings, by environment:
#   GPU_SECONDS, GPU_LIMIT                    seconds for all parts, and for each in place of its own limit
#   GPU_NETWORKS, GPU_ROWS, GPU_COMPUTE       of device (tiny,small,ddpm; 128; float32,bfloat16)
#   GPU_TORCH_NETWORKS, _ROWS, _COMPUTE       of torch (ddpm; 128; bfloat16)
#   GPU_CHECK                                 networks of check
#   GPU_WORKERS, GPU_BENCH                    of the studies: runs at a time (10), and more words for bench
#   GPU_WORK, GPU_CACHE                       where runs and caches lie (a new folder beside OUT), the program's cache in place of the one there
#   GPU_PYTHON                                a Python with the packages
#   GPU_CIFAR                                 of --build: the folder of CIFAR-10's binaries, where it is not the cache's
set -uo pipefail
{ # read as a whole before it runs

die() {
	echo "gpu-session: $*" >&2
	exit 2
}

here=$(cd "$(dirname "$0")" && pwd)

# studies lists the parts that are studies: a name, and what bench is given. Words are parted by blanks alone.
studies() {
	local longer='--set loop.steps_per_task=450' pad32='--set benchmark.prep.size=32 --set benchmark.prep.method=pad'
	local more='--set benchmark.part_all=true --set benchmark.classes_per_task=1'
	cat <<-TABLE
		quick           --seeds 1
		bf16            --seeds 3 --set backend.compute=bfloat16
		policies        --strategies er --sweep buffer=20,100 --sweep policy=class-balanced,herding,high-loss,low-loss --sweep lambda=1,0.3 $longer --seeds 3
		middle          --strategies er --sweep noised=true --sweep buffer=10,20,50,100 --sweep lambda=1,0.3 $longer --seeds 3
		middle-half     --strategies er --sweep noised=true --sweep timesteps=range:0.25-0.75 --sweep buffer=10,20,50,100 --sweep lambda=1,0.3 $longer --seeds 3
		longer          --tuned --strategies finetune,mir,ccd,der,generative_distillation,ewc_rank1+generative_distillation,joint --sweep buffer=20 $longer --seeds 3
		long            --strategies finetune,er,joint --sweep buffer=200,40 --sweep lambda=1,0.3 --set benchmark.datasets=[fashion-mnist-sample,mnist-10k] $more --set loop.steps_per_task=150 --seeds 3
		dose            --strategies er --sweep lambda=1,0.3,0.1 --sweep buffer=20 --set loop.steps_per_task=1350 --seeds 3
		cifar32         --strategies finetune,er,joint --sweep lambda=1,0.3,0.1 --set benchmark.datasets=[cifar-10-first] $pad32 $longer --seeds 3
		small           --strategies finetune,er,joint --sweep lambda=1,0.3 --sweep buffer=20 $pad32 --set network.size=small $longer --set seed=1 --seeds 2
		buffers         --strategies finetune,er,joint --sweep lambda=1,0.3,0.1,0.03,0.01 --sweep buffer=50,100 $longer --seeds 10
		headline32      --strategies finetune,er,joint --sweep lambda=1,0.3,0.1,0.03,0.01 --sweep buffer=20 $pad32 $longer --seeds 10
	TABLE
}

# build DIR NETWORK,NETWORK: what the card's machine needs.
build() {
	local dir=$1 networks=$2
	command -v go >/dev/null || die "--build needs Go; build on a machine that has it and carry the folder"
	mkdir -p "$dir" || exit 1
	dir=$(cd "$dir" && pwd)
	(
		set -e
		cd "$here/.."
		commit=$(git rev-parse HEAD 2>/dev/null || true)
		[ -z "$commit" ] || [ -z "$(git status --porcelain --untracked-files=no -- ':!*.md' ':!notebooks/*.ipynb' ':!notebooks/results')" ] || commit=$commit+
		CGO_ENABLED=1 go build -trimpath -ldflags "-s -w -X palimpsest/pkg/host.commit=$commit" -o "$dir/palimpsest" .
		cp docker/gpu-session.sh "$dir/"
		[ -s "$dir/processor.json" ] || "$dir/palimpsest" perf check --networks "$networks" --write "$dir/processor.json"
		gzip -9 -n -f "$dir/palimpsest"
	) || die "the build failed"
	# CIFAR-10 whole is too much to carry: the first 1,200 training images of each of its files, the first 1,000 of the test's, as many as of the sample.
	local cifar=${GPU_CIFAR:-${PALIMPSEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/palimpsest}/datasets/cifar-10} record=3073 few file
	if [ ! -s "$cifar/test_batch.bin" ]; then
		echo "no $cifar/test_batch.bin: the study cifar32 cannot be made there; \`go run . data get cifar-10\` brings it"
	elif [ ! -s "$dir/images.tgz" ]; then
		few=$(mktemp -d) && mkdir "$few/cifar-10-first" || exit 1
		for file in data_batch_{1..5} test_batch; do
			head -c $((record * $([ $file = test_batch ] && echo 1000 || echo 1200))) "$cifar/$file.bin" >"$few/cifar-10-first/$file.bin" || die "CIFAR-10 could not be copied"
		done
		tar -C "$few" -czf "$dir/images.tgz" cifar-10-first && rm -r "$few" || die "CIFAR-10 could not be packed"
	fi
	[ -z "${GPU_KEPT:-}" ] || cp "$GPU_KEPT/kept.tgz" "$dir/" || die "GPU_KEPT names a folder without kept.tgz; name the OUT of an earlier session"
	du -sh "$dir"
}

# plugin prints the CUDA plugin among the packages of a Python.
plugin() {
	"$1" - <<'PYTHON'
import glob, os, site, sys, sysconfig
for folder in dict.fromkeys([sysconfig.get_path("platlib"), sysconfig.get_path("purelib"), *site.getsitepackages(), *sys.path]):
    for found in sorted(glob.glob(os.path.join(folder, "jax_plugins", "xla_cuda1*", "xla_cuda_plugin.so")), reverse=True):
        sys.exit(print(found))
PYTHON
}

# within SECONDS NAME: a part, what it says in log.txt, and the line that tells of it. Some seconds are left for packing.
within() {
	local seconds=${GPU_LIMIT:-$1} name=$2 start=$SECONDS left=$((budget - SECONDS - 30)) said=$work/said code state
	[ "$seconds" -le "$left" ] || seconds=$left
	if [ "$seconds" -lt 10 ]; then
		printf '%s\t%s\n' "$name" "not begun: no time left" | tee -a "$out/session.txt"
		failed="$failed $name"
		return
	fi
	echo "== $name (at most $seconds s)" | tee -a "$out/log.txt"
	timeout --kill-after=10 "$seconds" "$here/gpu-session.sh" --part "$name" 2>&1 | tee "$said" >>"$out/log.txt"
	code=${PIPESTATUS[0]}
	case $code in
	0) state=ok ;;
	124 | 137) state="stopped at its limit" ;;
	*) state="FAILED with $code" ;;
	esac
	printf '%s\t%s\t%s s\n' "$name" "$state" $((SECONDS - start)) | tee -a "$out/session.txt" "$out/log.txt"
	tail -n "${GPU_TAIL:-25}" "$said"
	[ $code = 0 ] || failed="$failed $name"
}

# pack makes of what the parts left what comes home.
pack() {
	local most=$((15 << 20)) result run begun without bytes
	# Bench stores a study that is whole; what has finished of others comes home beside it, without sheets.
	rm -rf "$work"/results/*.begun
	for result in "$work"/runs/*/*/result.json; do
		run=$(dirname "$result") && begun=$work/results/$(basename "$(dirname "$run")")
		[ ! -e "$result" ] || [ -e "$begun/$(basename "$run").json" ] || { mkdir -p "$begun.begun" && cp "$result" "$begun.begun/$(basename "$run").json"; }
	done
	tar -C "$work" -czf "$out/results.tgz" results
	if [ -d "$work/runs" ]; then
		# Where it is too much, the pictures of samples stay behind, of which the stored results have some.
		for without in checkpoints samples; do
			rm -f "$out"/runs.tgz.*
			tar -C "$work" --exclude=snapshots --exclude=checkpoints --exclude="$without" -cz runs | split -b "$most" -d -a 2 - "$out/runs.tgz."
			[ "$(find "$out" -name 'runs.tgz.*' | wc -l)" -gt 3 ] || break
		done
		find "$out" -name 'runs.tgz.*' | sort | tail -n +4 | xargs -r rm -v
	fi
	# The newest of what is kept, as much as fits.
	for bytes in 200 50 12; do
		(cd "$work" && find autotune inductor triton executables -type f -printf '%T@ %s %p\n' | sort -rn |
			awk -v most=$((bytes << 20)) '{ sum += $2; if (sum > most) exit; sub(/^[^ ]+ [^ ]+ /, ""); print }' | tar -czf "$out/kept.tgz" -T -)
		[ "$(stat -c %s "$out/kept.tgz")" -gt "$most" ] || break
	done
	[ "$(stat -c %s "$out/log.txt")" -le "$most" ] || { tail -c "$most" "$out/log.txt" >"$work/said" && mv "$work/said" "$out/log.txt"; }
}

part_doctor() {
	nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.sm,power.limit --format=csv
	grep -m1 'model name' /proc/cpuinfo
	nproc
	ldd --version | head -1
	echo "backend: $GOMLX_BACKEND; XLA_FLAGS: ${XLA_FLAGS:-none}; python: $python"
	for package in jax_plugins nvidia nvidia/cu13 nvidia/cu13/nvvm triton/backends/nvidia/bin; do
		ls -d "$site/$package" "$site/$package"/* 2>/dev/null | tr '\n' ' '
	done
	echo
	ls -d /usr/local/cuda* /usr/local/cuda/nvvm/libdevice/* 2>/dev/null
	"$program" doctor || true # Go and Jupyter are missing, which nothing here needs
	echo '{"what":"product","compute":"float32","for":0.5}' | "$program" perf case
}

part_check() { "$program" perf check --networks "$check" --against "$here/processor.json"; }

part_device() {
	"$program" perf --device --networks "$networks" --rows-of-steps "$rows" --compute "$compute" --limit 120s --store "$work/results/device"
}

part_torch() {
	"$python" -c 'import torch' || return 1
	"$program" perf --device --networks "${GPU_TORCH_NETWORKS:-ddpm}" --rows-of-steps "${GPU_TORCH_ROWS:-128}" --compute "${GPU_TORCH_COMPUTE:-bfloat16}" \
		--peers torch --python "$python" --rounds "${GPU_ROUNDS:-1}" --limit 200s --store "$work/results/torch"
}

# study NAME: its runs, as far as they come, and their stored results.
study() {
	local words
	read -ra words <<<"$(studies | awk -v name="$1" '$1 == name { $1 = ""; print }') ${GPU_BENCH:-}"
	if [ "$1" = cifar32 ] && ! "$program" data cifar-10-first >/dev/null 2>&1; then
		mkdir -p "$work/images" && tar -C "$work/images" -xzf "$here/images.tgz" && "$program" data add cifar-10-first "$work/images/cifar-10-first" || return 1
	fi
	"$program" bench "${words[@]}" --dir "$work/runs/$1" --workers "${GPU_WORKERS:-10}" --store "$work/results/$1" &&
		cp "$work/runs/$1/report.html" "$work/results/$1.html"
}

# mps starts NVIDIA's MPS, where it is there, until the session ends: kernels of one small run leave most of a card idle, and it lets those of several
# processes run side by side.
mps() {
	[ -z "${CUDA_MPS_PIPE_DIRECTORY:-}" ] && command -v nvidia-cuda-mps-control >/dev/null || return
	export CUDA_MPS_PIPE_DIRECTORY=$work/mps CUDA_MPS_LOG_DIRECTORY=$work/mps-log
	mkdir -p "$CUDA_MPS_PIPE_DIRECTORY" "$CUDA_MPS_LOG_DIRECTORY"
	nvidia-cuda-mps-control -d && trap 'echo quit | nvidia-cuda-mps-control' EXIT
}

session() {
	[ -s "$here/palimpsest.gz" ] && [ -s "$here/processor.json" ] || die "$here lacks the program or the processor's numbers; make it with --build"
	failed=
	mkdir -p "$out" || exit 1
	out=$(cd "$out" && pwd)
	work=${GPU_WORK:-$out/../gpu-work}
	mkdir -p "$work" && work=$(cd "$work" && pwd) && mkdir -p "$work"/{results,autotune,inductor,triton,executables} || exit 1
	budget=$((SECONDS + ${GPU_SECONDS:-570}))
	if [ -s "$here/kept.tgz" ] && [ ! -e "$work/laid" ]; then
		tar -C "$work" -xzf "$here/kept.tgz" && touch "$work/laid" || exit 1
	fi
	program=$work/palimpsest
	[ "$program" -nt "$here/palimpsest.gz" ] || { gunzip -c "$here/palimpsest.gz" >"$program" && chmod +x "$program"; } || exit 1
	python=${GPU_PYTHON:-$(command -v python3 || true)}
	[ -n "$python" ] || die "no python3 here; set GPU_PYTHON to one that has the packages jax-cuda13-pjrt and nvidia's"
	site=
	if [ -z "${GOMLX_BACKEND:-}" ]; then
		found=$(plugin "$python")
		[ -n "$found" ] || die "the packages of $python have no CUDA plugin of XLA; install jax-cuda13-pjrt with its NVIDIA libraries, or set GPU_PYTHON"
		export GOMLX_BACKEND=xla:$found
		site=$(dirname "$(dirname "$(dirname "$found")")")
	fi
	export TF_CPP_MIN_LOG_LEVEL=${TF_CPP_MIN_LOG_LEVEL:-2} # errors of XLA belong into the logs
	# What a compiler found out or made in one process serves the next, and, by kept.tgz, the next session.
	# Not for the processor, whose programs are kept only where no flag is set.
	[[ $GOMLX_BACKEND != *cuda* ]] || export XLA_FLAGS="${XLA_FLAGS:-} --xla_gpu_per_fusion_autotune_cache_dir=$work/autotune"
	export PALIMPSEST_EXECUTABLES=${PALIMPSEST_EXECUTABLES:-$work/executables} TORCHINDUCTOR_CACHE_DIR=$work/inductor TRITON_CACHE_DIR=$work/triton
	export PALIMPSEST_CACHE=${GPU_CACHE:-$work/cache}
	networks=${GPU_NETWORKS:-tiny,small,ddpm} rows=${GPU_ROWS:-128} compute=${GPU_COMPUTE:-float32,bfloat16}
	opens=${GPU_OPENS:-} # "yes": a call before this one has seen that the card computes
	check=${GPU_CHECK:-$(sed -n 's/.*"networks":\[//;s/{"network":"\([a-z]*\)"/\n@\1\n/gp' "$here/processor.json" | sed -n 's/^@//p' | paste -sd,)}
	export out work program python site networks rows compute check
	for part in "$@"; do
		[[ " doctor check torch device $(studies | awk '{ print $1 }' | paste -sd' ') " == *" $part "* ]] ||
			die "no part is called $part; choose of: doctor check torch device $(studies | awk '{ print $1 }' | paste -sd' ')"
	done
	for part in "$@"; do
		if [ "$part" != doctor ] && [ -z "$opens" ]; then # pure Go in the card's place would take hours to say little
			echo '{"what":"product","compute":"float32","for":0.1}' | timeout 90 "$program" perf case >"$work/said" 2>&1 ||
				{ tee -a "$out/log.txt" <"$work/said"; die "$GOMLX_BACKEND does not compute; the part doctor says more"; }
			opens=yes
		fi
		case $part in
		doctor | check) within 150 "$part" ;;
		torch | device) within 240 "$part" ;;
		*) mps; within 570 "$part" ;;
		esac
	done
	pack
	[ -z "$failed" ] || { echo "not whole:$failed"; exit 1; }
}

case ${1:-} in
--build)
	[ $# = 2 ] || die "--build needs one folder"
	build "$2" "${GPU_NETWORKS:-tiny,small,ddpm}"
	;;
--out)
	[ $# -ge 2 ] || die "--out needs a folder"
	out=$2
	shift 2
	[ $# -gt 0 ] || set -- doctor check torch device quick
	session "$@"
	;;
--part) # what --out calls, with what it found out in the environment
	if declare -F "part_$2" >/dev/null; then "part_$2"; else study "$2"; fi
	;;
--studies)
	studies
	;;
--dry)
	[ $# = 2 ] || die "--dry needs a folder for what it writes"
	out=$2
	mkdir -p "$out" && out=$(cd "$out" && pwd) || exit 1
	(cd "$here/.." && go run . setup --no-lab --no-completion) || die "the plugin for the processor could not be installed"
	build "$out/carried" tiny
	export GOMLX_BACKEND=${GOMLX_BACKEND:-xla:cpu} GPU_NETWORKS=tiny GPU_ROWS=8 GPU_COMPUTE=float32 GPU_TAIL=8 GPU_WORKERS=0 GPU_WORK=$out/work GPU_SECONDS=1800
	export GPU_CACHE=${PALIMPSEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/palimpsest}
	PALIMPSEST_EXECUTABLES=${PALIMPSEST_EXECUTABLES:-$GPU_CACHE/executables} \
		GPU_BENCH="--strategies finetune,er --sweep lambda=1 --set loop.steps_per_task=2 --set evaluate.samples_per_task=20 --set evaluate.allow_small_n=true --set evaluate.sampler.steps=2" \
		"$out/carried/gpu-session.sh" --out "$out" doctor check device quick
	;;
*)
	sed -n '2,/^set -/p' "$0" | sed '$d;s/^# \{0,1\}//'
	exit 2
	;;
esac
exit
}
