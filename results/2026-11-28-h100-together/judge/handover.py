import sys,statistics as st,collections
d=collections.defaultdict(list)
for fn in sys.argv[1:]:
  for l in open(fn):
    f=l.rstrip('\n').split('\t')
    if not f[1].startswith('gemm'): continue
    t=dict(x.split('=') for x in f[2].split()); k=int(t['split_k'])
    time,total,comb=float(f[3]),float(f[4]),float(f[11])
    d[(k,'tma' if t['loader']!='1' else 'thr','wk'+t['warps_k'])].append((time-total+comb,comb,(total-comb)/time, int(t['block_m'])*int(t['block_n'])*4/1000))
for k in sorted(d): v=d[k]; print(k,len(v),'implied %.2f  old comb %.2f  (pred-comb)/meas %.2f tileKB %.0f'%(st.median(x[0] for x in v),st.median(x[1] for x in v),st.median(x[2] for x in v),st.median(x[3] for x in v)))
