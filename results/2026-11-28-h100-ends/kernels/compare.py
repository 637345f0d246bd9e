import re,sys,collections
vs=sys.argv[2:]; t={}
for v in vs:
    for l in open(f'{sys.argv[1]}-{v}.txt'):
        m=re.match(r'sms (\d+) slot (\d) ([\d.]+) \[(.*)\] (.*)',l)
        if m: t.setdefault((int(m[1]),int(m[2]),m[4]),{}).setdefault(v,[]).append(float(m[3]))
for k,d in t.items(): print(*k, '  '.join(f'{v} {min(d[v]):.2f}' for v in vs if v in d), ' best%+.1f%%'%((min(d[vs[-1]])/min(d[vs[0]])-1)*100))
