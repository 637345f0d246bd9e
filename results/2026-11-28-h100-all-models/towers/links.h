#include <memory>
#define main chain_main
#include "../../2026-11-28-h100-ends-of-tiles/kernels/chain.cu"
#undef main
#include "templates/attention.cuh"
struct AnyLink { virtual void launch(int) const=0; virtual ~AnyLink(){} };
template<class Cfg> struct GemmLink : AnyLink { Link<Cfg> link; GemmLink(int m,int n,int k,int copies):link(m,n,k,copies){} void launch(int i) const override { link.launch(i); } };
template<int W,int KV,int S,int WK,int MB=1,int CA=0> struct At { static constexpr AttentionConfig value=[]{AttentionConfig c; c.tile={W,KV,S,WK,MB}; if(CA) c.op.mask=AttentionMask::causal; return c;}(); };
template<class Cfg> __global__ void __launch_bounds__(Cfg::value.threads()) akern(const __grid_constant__ AttentionParams p){ attention<Cfg>(p); }
template<class Cfg> struct ALink : AnyLink { int t,h; char *q,*o; ALink(int t,int h):t(t),h(h){ cudaMalloc(&q,(size_t)t*h*64*2*3); cudaMalloc(&o,(size_t)t*h*64*2); cudaMemset(q,1,(size_t)t*h*64*2*3); cudaFuncSetAttribute(akern<Cfg>,cudaFuncAttributeMaxDynamicSharedMemorySize,Cfg::value.smem_bytes()); cudaFuncSetAttribute(akern<Cfg>,cudaFuncAttributePreferredSharedMemoryCarveout,100);}
  void launch(int) const override { AttentionParams p={}; int d=h*64; p.q=q; p.k=q+d*2; p.v=q+d*4; p.out=o; p.batch=1;p.heads=h;p.queries=p.keys=t;p.ldq=p.ldk=p.ldv=3*d;p.ldo=d;p.scale=0.125f; Grid3 g=attention_grid(Cfg::value,t,h,1);
   cudaLaunchConfig_t cfg={}; cfg.gridDim=dim3(g.x,g.y,g.z); cfg.blockDim=Cfg::value.threads(); cfg.dynamicSmemBytes=Cfg::value.smem_bytes(); cfg.stream=stream; cudaLaunchAttribute at; at.id=cudaLaunchAttributeProgrammaticStreamSerialization; at.val.programmaticStreamSerializationAllowed=1; cfg.attrs=&at; cfg.numAttrs=1; cudaError_t r=cudaLaunchKernelEx(&cfg,akern<Cfg>,p); if(r) printf("att %s\n",cudaGetErrorString(r)); } };

static cudaStream_t green(CUdevResource* r){ CUdevResourceDesc desc; cuDevResourceGenerateDesc(&desc,r,1); CUgreenCtx gc; CUdevice dev; cuDeviceGet(&dev,0); CUresult e=cuGreenCtxCreate(&gc,desc,dev,CU_GREEN_CTX_DEFAULT_STREAM); if(e) printf("green %d\n",e); CUstream s; if(cuGreenCtxStreamCreate(&s,gc,CU_STREAM_NON_BLOCKING,0)) printf("no stream\n"); return s; }
typedef std::vector<std::unique_ptr<AnyLink>> Tower;
template<class Cfg> void gemm_to(Tower& t,int m,int n,int k,int copies){ t.push_back(std::make_unique<GemmLink<Cfg>>(m,n,k,copies)); }
__global__ void spin(int ns,int early){ if(early){ asm volatile("griddepcontrol.wait;":::"memory"); asm volatile("griddepcontrol.launch_dependents;"); } long long t0; asm volatile("mov.u64 %0, %globaltimer;":"=l"(t0)); long long t; do { asm volatile("mov.u64 %0, %globaltimer;":"=l"(t)); } while(t-t0<ns); }
// Reads all of `base`, each block its own part, `passes` times.
__global__ void reader(const uint4* base,size_t vecs,int passes,uint4* out){ uint4 acc={0,0,0,0}; for(int p=0;p<passes;++p) for(size_t i=blockIdx.x*(size_t)blockDim.x+threadIdx.x;i<vecs;i+=(size_t)gridDim.x*blockDim.x*4){
   uint4 v[4]; for(int j=0;j<4;++j){ size_t at=i+(size_t)j*gridDim.x*blockDim.x; if(at<vecs) asm volatile("ld.global.cg.v4.u32 {%0,%1,%2,%3}, [%4];":"=r"(v[j].x),"=r"(v[j].y),"=r"(v[j].z),"=r"(v[j].w):"l"(base+at)); else v[j]=acc; } for(int j=0;j<4;++j) acc.x^=v[j].x^v[j].y^v[j].z^v[j].w; } if(acc.x==12345) *out=acc; }
static void spin_launch(cudaStream_t s,int blocks,int ns,int early){ cudaLaunchConfig_t cfg={}; cfg.gridDim=dim3(blocks); cfg.blockDim=128; cfg.stream=s; cudaLaunchAttribute at; at.id=cudaLaunchAttributeProgrammaticStreamSerialization; at.val.programmaticStreamSerializationAllowed=1; cfg.attrs=&at; cfg.numAttrs=early; cudaError_t r=cudaLaunchKernelEx(&cfg,spin,ns,early); if(r) printf("spin %s\n",cudaGetErrorString(r)); }
