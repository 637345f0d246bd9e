set -u
. scripts/gpu-common.sh
R=$OUT/r
gpu_setup $R PROGRAMS
D=$work/plans.db
modes() { # TARGET BUDGET NAME
  for mode in streams partition paired sequential; do
    duet tune clip-vit-b32 --target $1 --db $D --mode $mode --no-baseline --reference none --strategy model_order --max-candidates 24 --budget $2 -v > /dev/null 2> $R/tune-$3-$mode.log
  done
  duet bench clip-vit-b32 --target $1 --db $D --samples 300 > $R/bench-$3.txt 2>&1
  grep "b32/b1" $R/bench-$3.txt | grep -v iterations
  echo "$SECONDS s"
}
modes auto 24 whole
modes auto/16sm 19 16sm
modes auto/8sm 19 8sm
timeout 60 python3 bench/peers/pytorch.py clip-vit-b32 --batch 1 --sms 16 8 --samples 200 --stop-s 25 > $R/peers.jsonl 2> $R/pytorch.log
echo "$SECONDS s"
if [ $SECONDS -lt 325 ]; then
  for t in vision text; do duet tune clip-vit-b32 --tower $t --db $D --no-baseline --reference none --strategy model_order --max-candidates 24 --budget 10 > /dev/null 2> $R/tune-$t.log; done
  duet bench clip-vit-b32 --variant fused-streams --db $D --processes-s 2 > $R/processes.txt 2>&1
  tail -8 $R/processes.txt
fi
echo "$SECONDS s"
gzip -c $D > $R/plans.db.gz
tar czf $OUT/all.tgz -C $OUT r && rm -rf $OUT/r
