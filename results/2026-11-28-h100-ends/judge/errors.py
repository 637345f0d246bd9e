import sys,math,collections,re
rows=[l.rstrip('\n').split('\t') for l in open(sys.argv[1])]
by=collections.defaultdict(list); sp=collections.defaultdict(list)
for r in rows:
    sms,name,tile,t,p=r[0],r[1],r[2],float(r[3]),float(r[4])
    if not name.startswith('gemm') or t<=0 or not math.isfinite(p): continue
    l=re.search(r'loader=(\d)',tile).group(1)
    kind=('ln' if 'layer_norm' in name else '')+('+act' if 'gelu' in name else '')+('+res' if 'residual' in name else '')
    small='slice' if int(sms)<=16 else 'whole'
    by[(l,kind,small)].append(math.log(p/t)); sp[(sms,name)].append((t,p,l))
med=lambda x: sorted(x)[len(x)//2]
for k,v in sorted(by.items()): print(k,len(v),'median %+.0f%%'%(100*(math.exp(med(v))-1)))
def rank(x):
    o=sorted(range(len(x)),key=lambda i:x[i]); r=[0]*len(x)
    for i,j in enumerate(o): r[j]=i
    return r
cs=[];hit=0;n=0
for k,v in sorted(sp.items()):
    if len(v)<8: continue
    a=rank([x[0] for x in v]); b=rank([x[1] for x in v]); m=(len(v)-1)/2
    c=sum((i-m)*(j-m) for i,j in zip(a,b))/sum((i-m)**2 for i in a); cs.append(c)
    best=min(x[0] for x in v); first=sorted(v,key=lambda x:x[1])[:10]; ok=min(x[0] for x in first)<=1.05*best; hit+=ok;n+=1
    if len(sys.argv)>2: print('%5.2f %s n=%d best loader %s first-ten best/best %.3f %s'%(c,k[0],len(v),min(v)[2],min(x[0] for x in first)/best,k[1]))
print('mean rank %.3f  first ten hold one within 5%%: %d of %d'%(sum(cs)/len(cs),hit,n))
